"""THE contract of a record: every name, shape, unit and order that the two sides of the wall share.

`data_pipelines` writes records of this form; everything in `gmtalker_jax` reads them. Change this
file and both sides change.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

FRAME_RATE = 25  # video frames per second
SAMPLE_RATE = 16_000  # audio samples per second, mono
SAMPLES_PER_FRAME = SAMPLE_RATE // FRAME_RATE  # 640
SPEECH_PER_FRAME = 2  # speech feature rows per video frame (50 Hz)

# The eight MEAD folder names in alphabetical order. Map by name, never by number: other projects
# number them differently.
EMOTIONS = ('angry', 'contempt', 'disgusted', 'fear', 'happy', 'neutral', 'sad', 'surprised')
NEUTRAL = EMOTIONS.index('neutral')
LEVELS = 3  # MEAD intensity levels 1..3; neutral exists only as level 1

# The 52 ARKit blendshapes in alphabetical order: the layout of FaceVerse v3 (method 1.3).
BLENDSHAPES = (
  'browDownLeft', 'browDownRight', 'browInnerUp', 'browOuterUpLeft', 'browOuterUpRight',
  'cheekPuff', 'cheekSquintLeft', 'cheekSquintRight', 'eyeBlinkLeft', 'eyeBlinkRight',
  'eyeLookDownLeft', 'eyeLookDownRight', 'eyeLookInLeft', 'eyeLookInRight', 'eyeLookOutLeft',
  'eyeLookOutRight', 'eyeLookUpLeft', 'eyeLookUpRight', 'eyeSquintLeft', 'eyeSquintRight',
  'eyeWideLeft', 'eyeWideRight', 'jawForward', 'jawLeft', 'jawOpen', 'jawRight', 'mouthClose',
  'mouthDimpleLeft', 'mouthDimpleRight', 'mouthFrownLeft', 'mouthFrownRight', 'mouthFunnel',
  'mouthLeft', 'mouthLowerDownLeft', 'mouthLowerDownRight', 'mouthPressLeft', 'mouthPressRight',
  'mouthPucker', 'mouthRight', 'mouthRollLower', 'mouthRollUpper', 'mouthShrugLower',
  'mouthShrugUpper', 'mouthSmileLeft', 'mouthSmileRight', 'mouthStretchLeft',
  'mouthStretchRight', 'mouthUpperUpLeft', 'mouthUpperUpRight', 'noseSneerLeft',
  'noseSneerRight', 'tongueOut',
)  # fmt: skip
BLINKS = (BLENDSHAPES.index('eyeBlinkLeft'), BLENDSHAPES.index('eyeBlinkRight'))

# The blinks belong to motion; the other 50 are the expression (method 1.3).
EXPRESSION_NAMES = tuple(n for n in BLENDSHAPES if not n.startswith('eyeBlink'))
MOTION_NAMES = (
  'rotationX', 'rotationY', 'rotationZ',  # rad; R = Rz Ry Rx; x pitch (+ chin down), y yaw, z roll
  'translationX', 'translationY', 'translationZ',  # head widths; x image right, y up, z to camera
  'blinkLeft', 'blinkRight',  # 0 open .. 1 closed
  'gazeLeftPitch', 'gazeLeftYaw', 'gazeRightPitch', 'gazeRightYaw',  # rad; + down, + image right
)  # fmt: skip
# Where a point (x, y) of the shoulders at rest is: ((1 + xx) x + xy y + x0, yx x + (1 + yy) y + y0)
# / (1 + px x + py y), in sides of the picture from the middle of its lower edge, x right, y up.
SWAY_NAMES = ('xx', 'xy', 'x0', 'yx', 'yy', 'y0', 'px', 'py')
ROTATION, TRANSLATION = slice(0, 3), slice(3, 6)
BLINK, GAZE = slice(6, 8), slice(8, 12)

# Left and right are the subject's own, as in ARKit; with the subject facing the camera its left
# side is on the right of the image (+x).


class Layout(NamedTuple):
  """How a vector of coefficients is laid out; a field of every record, not a fork of the code."""

  name: str
  expression: tuple[str, ...]
  motion: tuple[str, ...]


LAYOUTS = {
  'arkit': Layout('arkit', EXPRESSION_NAMES, MOTION_NAMES),
  'bfm': Layout('bfm', tuple(f'expression{i:02d}' for i in range(64)), MOTION_NAMES[:6]),
  # Of these no direction closes the lids alone: blinks are part of the expression, those here 0.
  'gnm': Layout('gnm', tuple(f'expression{i:03d}' for i in range(383)), MOTION_NAMES),
}


class Field(NamedTuple):
  """One field of a record. A shape of None is a ragged axis; `meaning` is for the reader."""

  shape: tuple[int | None, ...]
  dtype: str
  meaning: str


# One record is one clip. T = ceil(samples / 640) video frames.
RECORD = {
  'id': Field((), 'text', 'unique name, e.g. M003_front_angry_3_001'),
  'dataset': Field((), 'text', 'mead | lrs3 | folder | person | procedural | bfm'),
  'subject': Field((), 'text', 'the person'),
  'emotion': Field((), 'text', 'one of EMOTIONS, or "" where unknown; weights: data/emotion.py'),
  'level': Field((), 'int32', '1..3, 0 where unknown'),
  'view': Field((), 'text', 'MEAD view, "front" elsewhere'),
  'layout': Field((), 'text', 'a key of LAYOUTS'),
  'speech_encoder': Field((), 'text', 'what made `speech`: NAME@DIGEST, see speech/__init__.py'),
  'speech': Field((None, None), 'float16', '[2T, D] speech features at 50 Hz'),
  'expression': Field((None, None), 'float32', '[T, E] blendshape weights'),
  'motion': Field((None, None), 'float32', '[T, M] see MOTION_NAMES'),
  'sway': Field((None, None), 'float32', '[T, 8] see SWAY_NAMES; 0 where no shoulders are shown'),
  'valid': Field((None,), 'float32', '[T] 1 = the face was tracked in this frame'),
  'identity': Field((None,), 'float32', '[I] identity coefficients of the head'),
  'audio_lag': Field((), 'float32', 'seconds that the sound lagged the picture; already corrected'),
  'frames': Field((None,), 'jpeg', '[T] photographs, or none where only coefficients are kept'),
  'renderings': Field((None,), 'png', '[T] renderings of the head, as many as `frames`'),
}


def frame_count(samples: int) -> int:
  """Video frames of a sound of `samples` samples at 16 kHz: exactly ceil(seconds * 25)."""
  return -(-samples // SAMPLES_PER_FRAME)


def part(record: Mapping[str, Any], start: int, stop: int) -> dict[str, Any]:
  """Frames [start, stop) of a record: all its fields, those that run in time cut."""

  def cut(name: str, value: Any) -> Any:
    if name == 'identity' or not RECORD[name].shape:
      return value
    rate = SPEECH_PER_FRAME if name == 'speech' else 1
    return value[start * rate : stop * rate]

  return {name: cut(name, value) for name, value in record.items()}
