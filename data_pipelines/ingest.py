"""One clip in, one record out, or a reason why not.

sound -> landmarks -> one track -> crop -> fit -> audio lag -> speech features -> record.
"""

from typing import Any, NamedTuple

import av
import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.io import audio, video

from . import fit as fitting
from . import lag as lags
from . import track as tracking
from .landmarker import Landmarker
from .sources import ClipSource

MIN_SECONDS = 0.4
MAX_ERROR = 0.06  # outer-eye distances
MAX_YAW = 1.1  # rad: beyond it one eye is hidden and the mesh is guesswork
MIN_KEPT = 0.5  # of the clip that the best track must cover, unless it lasts
LONG_ENOUGH = 2.0  # seconds
LENGTH_TOLERANCE = 0.5  # seconds between sound and picture, or a twentieth of the clip
SILENCE = 1e-3  # peak

REASONS = {
  'no_sound': 'the clip has no sound',
  'silent': 'the sound is silence',
  'damaged_sound': 'the sound cannot be read',
  'damaged_video': 'the video cannot be read',
  'no_face': 'no face was found in any frame',
  'face_lost': 'the face is lost too often',
  'too_short': f'less than {MIN_SECONDS} s can be used',
  'profile': 'the head is turned too far from the camera',
  'bad_fit': 'the head could not be fitted to the landmarks',
  'lengths_differ': 'sound and picture differ in length',
  'bad_coefficients': 'the coefficients cannot be read',
  'bad_truth': 'the truth file does not fit the clip',
}


class Rejected(Exception):
  """A clip that cannot be used: a code of REASONS and a sentence for people.

  `seen` is the fitted clip where only the sound was missing: it can be shown, not learned from.
  """

  def __init__(self, code: str, detail: str = '', seen: 'Ingested | None' = None):
    super().__init__(f'{REASONS[code]}{": " if detail else ""}{detail}')
    self.code, self.seen = code, seen


class Tools(NamedTuple):
  """What every clip needs; made once per process."""

  landmarker: Landmarker
  model: LandmarkModel
  encoder: str


class Ingested(NamedTuple):
  """A clip that was taken.

  `record` follows schema.RECORD without pictures; `facts` go to the report; `crop` and `start`
  say where the pictures are; `landmarks` [T, 478, 2] are the fitted head's, in crop units; `wave`
  [S] is the sound of these frames, the lag corrected.
  """

  source: ClipSource
  record: dict[str, Any]
  facts: dict[str, Any]
  crop: tracking.Crop
  start: int
  landmarks: np.ndarray
  wave: np.ndarray


class Sighting(NamedTuple):
  """A clip whose face was followed, before anything is fitted."""

  source: ClipSource
  wave: np.ndarray  # [S] of the whole file; empty where it cannot be heard
  unheard: Rejected | None  # why not
  track: tracking.Track
  crop: tracking.Crop


def ingest(source: ClipSource, tools: Tools, pictured: bool) -> Ingested:
  """Ingests one clip; `pictured` clips are those whose frames are kept.

  Raises:
    Rejected: with the reason.
  """
  return understand(see(source, tools, pictured), tools)


def see(source: ClipSource, tools: Tools, pictured: bool) -> Sighting:
  """Hears and follows the face of a clip; the crop of a `pictured` one lies within its frame.

  Raises Rejected.
  """
  wave, unheard = _heard(source)
  track = _track(source, tools.landmarker)
  if not unheard:
    check_lengths(len(wave) / schema.SAMPLE_RATE, track.total / schema.FRAME_RATE)
  crop = tracking.place(tools.model, track)
  return Sighting(source, wave, unheard, track, crop.within(track.frame) if pictured else crop)


def understand(sighting: Sighting, tools: Tools, shape: fitting.Shape | None = None) -> Ingested:
  """Fits the head to what was seen; `shape` where the person is known. Raises Rejected."""
  source, wave, unheard, track, crop = sighting
  fit = tracking.fit_track(tools.model, track, crop, shape)
  error = float(fit.error.mean())
  _check_fit(fit, error)
  facts = clip_facts(source, len(track.valid)) | _track_facts(track, crop, error)
  if unheard:
    unheard.seen = Ingested(
      source, _coefficients(fit), facts, crop, track.start, fit.landmarks, wave
    )
    raise unheard
  lag = lags.estimate(wave, lags.lip_opening(track.landmarks, track.valid), track.start)
  first = track.start * schema.SAMPLES_PER_FRAME + round(lag.seconds * schema.SAMPLE_RATE)
  wave, frames = aligned(wave, first, len(track.valid))
  record = _coefficients(fit) | {'valid': track.valid.astype(np.float32)}
  record = {k: v if k == 'identity' else v[:frames] for k, v in record.items()}
  record |= new_record(source, tools.encoder, wave, frames, lag.seconds)
  facts |= clip_facts(source, frames) | {
    'audio_lag': round(lag.seconds, 3),
    'audio_lag_found': round(lag.best, 3),
    'audio_lag_correlation': [round(lag.at_best, 3), round(lag.at_zero, 3)],
  }
  return Ingested(source, record, facts, crop, track.start, fit.landmarks[:frames], wave)


def _heard(source: ClipSource) -> tuple[np.ndarray, Rejected | None]:
  """The sound, or why there is none."""
  try:
    return sound(source), None
  except Rejected as why:
    if why.code == 'damaged_video':
      raise
    return np.zeros(0, np.float32), why


def sound(source: ClipSource) -> np.ndarray:
  """The samples [S] of a clip. Raises Rejected where there are none that can be used."""
  path = source.audio_path or source.video_path
  try:
    wave = audio.read(path)
  except InputError as error:
    if path == source.video_path and 'audio' not in _streams(path):
      if 'video' not in _streams(path):
        raise Rejected('damaged_video', str(error)) from None
      where = 'no audio track in the video' + (' and no .m4a' if source.dataset == 'mead' else '')
      raise Rejected('no_sound', where) from None
    raise Rejected('damaged_sound', str(error)) from None
  if not np.isfinite(wave).all():
    raise Rejected('damaged_sound', 'samples that are not finite')
  if np.abs(wave).max(initial=0) < SILENCE:
    raise Rejected('silent')
  return wave


def _streams(path) -> set[str]:
  try:
    with av.open(str(path)) as container:
      return {stream.type for stream in container.streams}
  except (av.error.FFmpegError, OSError, ValueError):
    return set()


def _track(source: ClipSource, landmarker: Landmarker) -> tracking.Track:
  try:
    track = tracking.track(video.stream(source.video_path), landmarker)
  except InputError as error:
    raise Rejected('damaged_video', str(error)) from None
  if track is None:
    raise Rejected('no_face')
  seconds = track.total / schema.FRAME_RATE
  kept = track.valid.sum() / track.total
  if kept < MIN_KEPT and track.valid.sum() / schema.FRAME_RATE < LONG_ENOUGH:
    raise Rejected('face_lost', f'the longest steady track covers {kept:.0%} of {seconds:.1f} s')
  if track.valid.sum() / schema.FRAME_RATE < MIN_SECONDS:
    raise Rejected('too_short', f'{seconds:.2f} s')
  return track


def check_lengths(sound: float, picture: float) -> None:
  """Raises Rejected where seconds of sound and of picture cannot belong together."""
  if abs(sound - picture) > max(LENGTH_TOLERANCE, picture / 20):
    raise Rejected('lengths_differ', f'{sound:.2f} s of sound, {picture:.2f} s of picture')


def _check_fit(fit: fitting.Fit, error: float) -> None:
  yaw = float(np.median(np.abs(fit.motion[:, 1])))
  if yaw > MAX_YAW:
    raise Rejected('profile', f'{np.degrees(yaw):.0f} degrees')
  if not error <= MAX_ERROR:
    raise Rejected('bad_fit', f'{error:.1%} of the outer-eye distance')


def aligned(wave: np.ndarray, first: int, frames: int) -> tuple[np.ndarray, int]:
  """Sound from sample `first` on (silence where that is before the start), and T that fits both."""
  wave = np.pad(wave, (max(-first, 0), 0))[max(first, 0) :]
  wave = wave[: frames * schema.SAMPLES_PER_FRAME]
  frames = schema.frame_count(len(wave))
  if frames / schema.FRAME_RATE < MIN_SECONDS:
    raise Rejected('too_short', f'{frames / schema.FRAME_RATE:.2f} s of sound and picture')
  return wave, frames


def new_record(
  source: ClipSource, encoder: str, wave: np.ndarray, frames: int, lag: float
) -> dict[str, Any]:
  """What a record says besides coefficients: names, and the features of the sound `wave`."""
  opened = speech.open(encoder)
  features = opened.encode(wave)
  assert len(features) == frames * schema.SPEECH_PER_FRAME
  return {
    'id': source.id,
    'dataset': source.dataset,
    'subject': source.subject,
    'emotion': source.emotion,
    'level': source.level,
    'view': source.view,
    'layout': 'arkit',
    'speech_encoder': opened.identity,
    'speech': features.astype(np.float16),
    'sway': np.zeros((frames, len(schema.SWAY_NAMES)), np.float32),
    'audio_lag': np.float32(lag),
    'frames': [],
    'renderings': [],
  }


def _coefficients(fit: fitting.Fit) -> dict[str, np.ndarray]:
  expression = np.delete(fit.blendshapes, schema.BLINKS, axis=1)
  return {'expression': expression, 'motion': fit.motion, 'identity': fit.identity}


def _track_facts(track: tracking.Track, crop: tracking.Crop, error: float) -> dict[str, Any]:
  return {
    'landmark_error': round(error, 5),
    'tracked': round(float(track.valid.mean()), 3),
    'first_frame': track.start,
    'clip_frames': track.total,
    'head_pixels': round(crop.head_width),
    'notes': _notes(track, crop),
  }


def clip_facts(source: ClipSource, frames: int) -> dict[str, Any]:
  """What the report says of any clip."""
  return {
    'id': source.id,
    'subject': source.subject,
    'emotion': source.emotion,
    'level': source.level,
    'view': source.view,
    'frames': frames,
    'seconds': round(frames / schema.FRAME_RATE, 2),
  }


def _notes(track: tracking.Track, crop: tracking.Crop) -> list[str]:
  notes = []
  if track.faces > 1:
    notes.append(f'{track.faces} faces: the largest track was taken')
  if len(track.valid) < 0.95 * track.total:
    kept, total = len(track.valid) / schema.FRAME_RATE, track.total / schema.FRAME_RATE
    notes.append(f'{kept:.1f} s of {total:.1f} s hold one face in one place')
  if crop.head_width < 64:
    notes.append('a small face: fine for motion, coarse for lips')
  return notes
