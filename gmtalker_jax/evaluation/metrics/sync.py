"""Do the lips belong to the sound? A judge that never saw a talker of ours (`io/sync_judge.py`).

LSE-C and LSE-D of Wav2Lip ask the same of pictures, with the weights of SyncNet, which are not ours
to ship. As theirs, these numbers mean something only beside those of the recorded clips.
"""

from collections.abc import Callable

import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.data import schema
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.performers import performances
from gmtalker_jax.evaluation.sample import Sample
from gmtalker_jax.evaluation.study import Study, part
from gmtalker_jax.io import sync_judge
from gmtalker_jax.io.sync_judge import REACH, SHIFTS
from gmtalker_jax.models.lip_sync import WINDOW

_APART = np.abs(SHIFTS) >= WINDOW  # such sounds share no frame with the right one
_ANY = ('records', 'portrait_records')
_WRONG = f'{WINDOW} to {REACH} frames earlier or later'


def preferred(agreement: np.ndarray) -> float:
  """Of agreement [W, S] by window and shift: share of wrong moments that agree less than the own.

  It is the area under the ROC curve of a window against its own wrong sounds; a tie is half.
  """
  own, wrong = agreement[:, [REACH]], agreement[:, _APART]
  known = np.isfinite(wrong)
  return float(((wrong < own) + 0.5 * (wrong == own))[known].mean())


def clip_preferred(agreement: np.ndarray) -> float:
  """As `preferred`, of the mean over the windows of a clip."""
  return preferred(curve(agreement)[None])


def curve(agreement: np.ndarray) -> np.ndarray:
  """Mean agreement [S] of a clip at each shift."""
  return np.nanmean(agreement, 0)


def confidence(agreement: np.ndarray) -> float:
  """The best mean agreement of a clip over all shifts, less the median over them (as LSE-C)."""
  means = curve(agreement)
  return float(means.max() - np.median(means))


def offset(agreement: np.ndarray) -> float:
  """The shift of the best mean agreement in ms; positive where the sound comes late."""
  return float(SHIFTS[np.argmax(curve(agreement))] * 1000 / schema.FRAME_RATE)


@part
def tables(study: Study) -> dict[str, list[tuple[str, np.ndarray]]] | None:
  """By who moves the face: (clip, agreement) of each; None where the judge hears other features."""
  judge = sync_judge.load()
  if not speech.same(study.talker.speech_encoder, judge.encoder):
    study.progress(f'no lip-sync: its judge hears {judge.encoder} only; left out')
    return None
  shown = performances(study)
  study.progress('lip-sync')
  return {
    who: [
      (record['id'], judge.agreement(expression, record['speech']))
      for expression, record in zip(one.expression, one.records, strict=True)
      if len(expression) > 2 * REACH
    ]
    for who, one in shown.items()
  }


def _samples(measure: Callable[[np.ndarray], float]):
  def samples(study: Study) -> dict[str, Sample] | None:
    found = tables(study)
    if not found or not all(found.values()):
      return None
    return {
      who: Sample.of([clip for clip, _ in rows], [measure(table) for _, table in rows])
      for who, rows in found.items()
    }

  return samples


METRICS = (
  Metric(
    name='sync_preference',
    samples=_samples(preferred),
    hears=True,
    unit='share',
    better='higher',
    needs=_ANY,
    baselines={'chance': 0.5},
    definition=f'share of wrong moments ({_WRONG}) whose sound agrees less with {WINDOW} frames of '
    'lips than their own sound does, to the judge of lip-sync; mean over windows and clips',
  ),
  Metric(
    name='sync_confidence',
    samples=_samples(confidence),
    hears=True,
    unit='cosine',
    better='higher',
    needs=_ANY,
    definition=f'mean agreement of a clip at the best of {len(SHIFTS)} shifts, less the median '
    'over the shifts: the form of LSE-C, another network on another scale',
  ),
  Metric(
    name='sync_offset_ms',
    samples=_samples(lambda table: abs(offset(table))),
    unit='ms',
    better='lower',
    needs=_ANY,
    definition='mean over clips of the size of the shift at which lips and sound agree best',
  ),
)
