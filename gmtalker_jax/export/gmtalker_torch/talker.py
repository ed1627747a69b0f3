"""A talker: three generators, the scales of their numbers, a head; and how it speaks."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from . import emotions, media, noise, speech
from .expression import ExpressionGenerator
from .head import Head
from .motion import MotionGenerator
from .portrait import PortraitGenerator

FORMAT, VERSION = 'gmtalker-torch', 1
NETWORKS = {
  'expression': ExpressionGenerator,
  'motion': MotionGenerator,
  'portrait': PortraitGenerator,
}
WINDOW, OVERLAP = 1500, 50  # frames made in one go, and blended between two of them
GAZE_LIMIT = 0.6  # rad


Network = TypeVar('Network', bound=nn.Module)


class Moments(NamedTuple):
  """Mean and standard deviation [C] of what a network sees or makes."""

  mean: np.ndarray
  std: np.ndarray

  @classmethod
  def of(cls, values: Mapping[str, Any]) -> 'Moments':
    """Reads them from config.json; a channel that hardly moves is not blown up."""
    std = np.sqrt(np.maximum(np.asarray(values['variance']), 1e-6))
    return cls(np.asarray(values['mean'], np.float32), std.astype(np.float32))

  def normalize(self, x: np.ndarray) -> np.ndarray:
    """To mean 0 and deviation 1."""
    return (x - self.mean) / self.std

  def unnormalize(self, x: np.ndarray) -> np.ndarray:
    """Back to blendshape weights, radians, head widths."""
    return x * self.std + self.mean


class Talk(NamedTuple):
  """What a talker does. The frames are made while they are read."""

  expression: np.ndarray  # [T, 50] ARKit blendshape weights, without the blinks
  motion: np.ndarray  # [T, 12] rotation 3, translation 3, blinks 2, gaze 4
  latent: np.ndarray  # [T, Z] what the painter is told of the expression
  sound: np.ndarray  # [S] at 16 kHz
  frames: Iterator[np.ndarray]  # T times uint8 [H, W, 3] at 25 Hz

  def save(self, out: str | Path) -> int:
    """Paints, and writes `out`.mp4 (with the package av) or a folder of PNG pictures."""
    return media.write(out, self.frames, self.sound)


class Talker:
  """Someone who can speak; `load` makes one."""

  def __init__(self, folder: str | Path, device: str | torch.device = 'cpu'):
    """Reads an exported folder. ValueError: damaged, or weights that do not fit the networks."""
    folder = Path(folder)
    self.config = json.loads((folder / 'config.json').read_text())
    if (self.config.get('format'), self.config.get('version')) != (FORMAT, VERSION):
      raise ValueError(f'got {folder / "config.json"}, expected the format {FORMAT} {VERSION}')
    about = self.config['talker']
    self.device, self.emotions = torch.device(device), tuple(about['emotions'])
    models = about['models']
    self.expression = self._strict(
      folder, 'expression', ExpressionGenerator(**models['expression'])
    )
    self.motion = self._strict(folder, 'motion', MotionGenerator(**models['motion']))
    self.portrait = self._strict(folder, 'portrait', PortraitGenerator(**models['portrait']))
    self.statistics = {
      name: {key: _moments(about, name, key) for key in ('speech', name)}
      for name in ('expression', 'motion')
    }
    self.head = Head(self._tensors(folder, 'head')).to(self.device)
    heard = about['speech_encoder']
    embedding = None
    if 'embedding' in heard:
      embedding = self._strict(folder, 'speech', speech.SpeechEmbedding())
    self.listen = speech.SpeechEncoder(heard, embedding)
    self.seed, known = about['seed'], about['subjects']
    self.subject = known.index(about['subject']) if about['subject'] in known else -1

  @torch.inference_mode()
  def speak(
    self,
    audio: str | Path | np.ndarray,
    emotion: str | np.ndarray = 'neutral',
    intensity: float = 1.0,
    seed: int = 0,
    temperature: float = 1.0,
    motion_scale: float = 1.0,
  ) -> Talk:
    """Makes the talker say `audio`. The same arguments give the same talk.

    Args:
      audio: a WAV file, or samples [S] at 16 kHz, full scale 1.
      emotion: as in emotions.py, or weights [T, K].
      intensity: 0..1, scales every emotion; 0 is neutral.
      seed: another one is another way to move the head, blink and look.
      temperature: of both latents, 0 = the most likely talk.
      motion_scale: 0 = a still head, 1 = as trained.
    """
    sound = audio if isinstance(audio, np.ndarray) else media.read_wav(audio)
    if sound.ndim != 1 or not len(sound) or not np.isfinite(sound).all():
      raise ValueError(f'got sound of shape {sound.shape}, expected [S] finite mono samples')
    if isinstance(emotion, str):
      frames = speech.frame_count(len(sound))
      emotion = emotions.track(emotion, self.emotions, frames, intensity)
    features = self.listen(sound)
    expression, latent = self.generate_expression(features, emotion, seed, temperature)
    motion = self.generate_motion(features, seed, temperature)
    motion = self.shape_motion(motion, motion_scale)
    return Talk(expression, motion, latent, sound, self.paint(expression, motion, emotion, latent))

  @torch.inference_mode()
  def generate_expression(
    self, features: np.ndarray, emotion: np.ndarray, seed: int, temperature: float = 1.0
  ) -> tuple[np.ndarray, np.ndarray]:
    """Speech features [2T, D], weights [T, K] -> blendshapes [T, 50], latents [T, Z]."""
    moments = self.statistics['expression']
    key = noise.key_for(seed, 'expression')  # the same in every window: one manner for the talk
    subject = torch.tensor([self.subject], device=self.device)

    def window(rows: Tensor, weights: Tensor, number: int) -> tuple[Tensor, Tensor]:
      made = self.expression.sample(rows, weights, key, temperature, subject=subject)
      # The painter gets the mean of the mixture: the look must not depend on the draw.
      return made, self.expression.sample_latent(weights, key, 0.0)

    rows = moments['speech'].normalize(features)
    expression, latent = self._in_windows(window, rows, emotion)
    return np.clip(moments['expression'].unnormalize(expression), 0.0, 1.0), latent

  @torch.inference_mode()
  def generate_motion(
    self, features: np.ndarray, seed: int, temperature: float = 1.0
  ) -> np.ndarray:
    """Speech features [2T, D] -> motion [T, 12]."""
    moments = self.statistics['motion']

    def window(rows: Tensor, _: Tensor, number: int) -> tuple[Tensor]:
      return (self.motion.sample(rows, noise.key_for(seed, 'motion', number), temperature),)

    nothing = np.zeros((len(features) // 2, 1), np.float32)
    (motion,) = self._in_windows(window, moments['speech'].normalize(features), nothing)
    return moments['motion'].unnormalize(motion)

  def shape_motion(self, motion: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Smooths the pose, scales it about its mean, and limits blinks and gaze."""
    motion = motion.astype(np.float32)
    padded = np.pad(motion[:, :6], ((1, 1), (0, 0)), mode='edge')
    smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    centre = self.statistics['motion']['motion'].mean[None, :6]
    motion[:, :6] = centre + scale * (smooth - centre)
    motion[:, 6:8] = np.clip(motion[:, 6:8], 0.0, 1.0)
    motion[:, 8:] = np.clip(motion[:, 8:], -GAZE_LIMIT, GAZE_LIMIT)
    return motion

  def paint(
    self,
    expression: np.ndarray,
    motion: np.ndarray,
    emotion: np.ndarray,
    latent: np.ndarray,
    batch: int = 4,
  ) -> Iterator[np.ndarray]:
    """Renders and paints T frames; yields uint8 [H, W, 3]."""
    for start in range(0, len(motion), batch):
      part = slice(start, start + batch)
      rendering = self.render(expression[part], motion[part])
      yield from self.paint_batch(rendering, emotion[part], latent[part])

  @torch.inference_mode()
  def render(self, expression: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """The head in motion: uint8 [T, h, w, 3]."""
    frames = zip(self._tensor(expression), self._tensor(motion), strict=True)
    size = self.portrait.input_size
    return torch.stack([self.head.render(e, m, size) for e, m in frames]).cpu().numpy()

  @torch.inference_mode()
  def paint_batch(
    self, rendering: np.ndarray, emotion: np.ndarray, latent: np.ndarray
  ) -> np.ndarray:
    """Renderings uint8 [B, h, w, 3], weights [B, K], latents [B, Z] -> uint8 [B, H, W, 3]."""
    seen = self._tensor(rendering).permute(0, 3, 1, 2) / 127.5 - 1
    key = noise.key_for(self.seed, 'style')
    style = noise.normal(key, (1, self.portrait.style_dim)).to(self.device)
    style = style.expand(len(seen), -1)
    image = self.portrait(seen, self._tensor(emotion), self._tensor(latent), style)
    image = ((image.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return image.permute(0, 2, 3, 1).cpu().numpy()

  def _in_windows(self, generate, rows: np.ndarray, emotion: np.ndarray) -> list[np.ndarray]:
    """Runs `generate` over a long talk piece by piece, and blends where pieces overlap."""
    frames, whole = len(emotion), []
    starts = range(0, max(frames - OVERLAP, 1), WINDOW - OVERLAP)
    for number, start in enumerate(starts):
      stop = min(start + WINDOW, frames)
      given = (
        self._tensor(rows[None, 2 * start : 2 * stop]),
        self._tensor(emotion[None, start:stop]),
      )
      parts = [part[0].cpu().numpy() for part in generate(*given, number)]
      if not whole:
        whole = [np.zeros((frames, part.shape[1]), np.float32) for part in parts]
      for target, part in zip(whole, parts, strict=True):
        if start:
          fade = ((np.arange(OVERLAP) + 1) / (OVERLAP + 1)).astype(np.float32)[:, None]
          part[:OVERLAP] = fade * part[:OVERLAP] + (1 - fade) * target[start : start + OVERLAP]
        target[start:stop] = part
    return whole

  def _tensor(self, array: np.ndarray) -> Tensor:
    return torch.as_tensor(array, dtype=torch.float32, device=self.device)

  def _tensors(self, folder: Path, name: str) -> dict[str, Tensor]:
    data = (folder / f'{name}.safetensors').read_bytes()
    if hashlib.sha256(data).hexdigest() != self.config['sha256'][f'{name}.safetensors']:
      raise ValueError(f'got a damaged {name}.safetensors, its sha256 is not that of config.json')
    return load_tensors(data)

  def _strict(self, folder: Path, name: str, module: Network) -> Network:
    module.load_state_dict(self._tensors(folder, name), strict=True)
    return module.to(self.device).eval()


def _moments(about: Mapping[str, Any], network: str, key: str) -> Moments:
  try:
    return Moments.of(about['statistics'][network][key])
  except KeyError:
    raise ValueError(
      f'got a config.json without the statistics {network}.{key}, expected mean and variance; '
      'without them the talker would speak and be wrong'
    ) from None


def load(folder: str | Path | None = None, device: str | torch.device = 'cpu') -> Talker:
  """Loads an exported folder; None is the one that this package lies in."""
  return Talker(Path(__file__).parents[1] if folder is None else folder, device)


def save(talker: Talker, folder: str | Path) -> None:
  """Writes the weights of an exported folder anew, after they were trained on."""
  folder, config = Path(folder), json.loads((Path(folder) / 'config.json').read_text())
  for name in NETWORKS:
    state = {key: value.contiguous() for key, value in getattr(talker, name).state_dict().items()}
    data = save_tensors(state)
    (folder / f'{name}.safetensors').write_bytes(data)
    config['sha256'][f'{name}.safetensors'] = hashlib.sha256(data).hexdigest()
  (folder / 'config.json').write_text(json.dumps(config, indent=1) + '\n')
