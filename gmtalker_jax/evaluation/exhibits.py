"""What no number shows: faces on their way to each emotion, the heads of many seeds, a film."""

from typing import NamedTuple

import cv2
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.data import emotion as emotions
from gmtalker_jax.data import source
from gmtalker_jax.evaluation.embedding import Embedding
from gmtalker_jax.evaluation.metrics import latent, motion
from gmtalker_jax.evaluation.study import Study
from gmtalker_jax.inference import reenact, speak
from gmtalker_jax.types import Coefficients

_STRIP = 128  # pixels of a face in a strip
_FILM = 100  # frames at most


class Exhibits(NamedTuple):
  """Each is empty or None where the study has not what it needs."""

  points: Embedding | None  # held-out clips in the space of emotions
  strips: dict[str, np.ndarray]  # emotion -> neutral to it, uint8 [H, W, 3]
  heads: np.ndarray | None  # [seeds, T, M] for one sound
  film: list[np.ndarray]  # uint8 [H, 3 W, 3]: photograph, painted from it, and from the sound


def of(study: Study) -> Exhibits:
  """All of a study; what its metrics painted and generated is not made again."""
  labelled = study.records is not None
  return Exhibits(
    latent.points(study) if labelled else None,
    {name: _strip(faces) for name, faces in latent.painted(study).items()},
    _heads(study) if labelled or study.motion_records else None,
    _film(study) if study.portrait_records is not None else [],
  )


def _strip(faces: np.ndarray) -> np.ndarray:
  small = [cv2.resize(f, (_STRIP, _STRIP), interpolation=cv2.INTER_AREA) for f in faces]
  return np.concatenate(small, 1)


def _heads(study: Study) -> np.ndarray:
  _, seeds = motion.spoken(study)[0]
  return np.stack(seeds)


def _film(study: Study) -> list[np.ndarray]:
  study.progress('a film')
  assert study.portrait_records is not None
  opened = source.open_records(study.portrait_records, 'test', with_frames=True)
  mine = (opened[i] for i in range(len(opened)))
  record = next((r for r in mine if r['id'] in study.filmed and r['frames']), None)
  if record is None:
    return []
  talker, frames = study.talker, min(len(record['frames']), _FILM)
  rows = np.asarray(record['speech'], np.float32)
  weights = np.tile(emotions.to_measure(record), (len(rows) // 2, 1))
  expression, style = speak.generate_expression(talker, rows, weights, 0)
  moved = speak.shape_motion(
    speak.generate_motion(talker, rows, 0), talker.motion.statistics.motion.mean
  )
  coefficients = Coefficients(jnp.asarray(expression[:frames]), jnp.asarray(moved[:frames]))
  spoken = speak.paint(talker, coefficients, weights[:frames], style[:frames])
  # A record has all its frames, and the pair is painted as it is asked for: no more than is shown.
  return [
    np.concatenate([pair, face], 1)
    for face, pair in zip(spoken, reenact.beside(talker, record), strict=False)
  ]
