"""The parts that the painter and its critic are built of. Pictures are [B, C, H, W].

Weights are drawn from N(0, 1) and scaled when used ("equalised learning rate", Karras et al. 2018).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2  # of the leaky ReLU
EPSILON = 1e-8  # of demodulation and pixel norm


def channels(resolution: int, multiplier: float = 1.0, limit: int = 512) -> int:
  """The width of a layer at `resolution`: 512 up to 64, then halved at each doubling."""
  wanted = min(512, 32768 // resolution) * multiplier
  return max(16, 8 * round(min(wanted, limit) / 8))


def haar(image: Tensor) -> Tensor:
  """Haar transform [B, C, H, W] -> [B, 4C, H/2, W/2]: bands ll, lh, hl, hh of all channels."""
  top, bottom = image[:, :, ::2], image[:, :, 1::2]
  low, high = (top + bottom) / 2, (top - bottom) / 2
  (ll, lr), (hl, hr) = ((x[..., ::2], x[..., 1::2]) for x in (low, high))
  return torch.cat((ll + lr, hl + hr, ll - lr, hl - hr), 1)


def inverse_haar(bands: Tensor) -> Tensor:
  """Undoes `haar`: [B, 4C, H, W] -> [B, C, 2H, 2W]."""
  ll, lh, hl, hh = (bands / 2).chunk(4, 1)
  top = torch.stack((ll + lh + hl + hh, ll + lh - hl - hh), -1).flatten(-2)
  bottom = torch.stack((ll - lh + hl - hh, ll - lh - hl + hh), -1).flatten(-2)
  return torch.stack((top, bottom), -2).flatten(-3, -2)


def blur(x: Tensor, pad: int) -> Tensor:
  """Filters with [1, 3, 3, 1] x [1, 3, 3, 1] / 64 after padding both axes with zeros by `pad`.

  Written out per axis: convolving every channel alone costs many times as much.
  """
  x = functional.pad(x, (pad,) * 4)
  for axis in (2, 3):
    one, two, three, four = (x.narrow(axis, i, x.shape[axis] - 3) for i in range(4))
    x = (one + four) * (1 / 8) + (two + three) * (3 / 8)
  return x


def downsample(image: Tensor) -> Tensor:
  """Halves a picture: blur, then every second pixel."""
  return blur(image, 1)[..., ::2, ::2]


def upsample(image: Tensor) -> Tensor:
  """Doubles a picture: zeros between the pixels, then four times the blur."""
  for axis in (2, 3):
    padded = functional.pad(image, (0, 0, 1, 1) if axis == 2 else (1, 1))
    before, here, after = (padded.narrow(axis, i, image.shape[axis]) for i in range(3))
    pair = (0.75 * here + 0.25 * before, 0.75 * here + 0.25 * after)
    image = torch.stack(pair, axis + 1).flatten(axis, axis + 1)
  return image


def leaky_relu(x: Tensor) -> Tensor:
  """Leaky ReLU of slope 0.2."""
  return functional.leaky_relu(x, SLOPE)


def leaky_relu_gain(x: Tensor) -> Tensor:
  """Leaky ReLU of slope 0.2 times sqrt(2): keeps the second moment of a normal input."""
  return functional.leaky_relu(x, SLOPE) * math.sqrt(2)


def pixel_norm(x: Tensor) -> Tensor:
  """Scales the last axis to a mean square of 1."""
  return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPSILON)


class Linear(nn.Module):
  """Equalised linear layer [..., I] -> [..., O]."""

  def __init__(self, inputs: int, outputs: int, bias: float = 0.0):
    super().__init__()
    self.weight = nn.Parameter(torch.randn(outputs, inputs))
    self.bias = nn.Parameter(torch.full((outputs,), bias))

  def forward(self, x: Tensor) -> Tensor:
    """Returns [..., O]."""
    return functional.linear(x, self.weight * x.shape[-1] ** -0.5, self.bias)


class Conv(nn.Module):
  """Equalised convolution, bias and activation; with `down`, blur and stride 2 as well."""

  def __init__(
    self,
    inputs: int,
    outputs: int,
    size: int = 3,
    down: bool = False,
    activation: Callable[[Tensor], Tensor] = leaky_relu,
  ):
    super().__init__()
    self.down, self.activation = down, activation
    self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
    self.bias = nn.Parameter(torch.zeros(outputs))

  def forward(self, x: Tensor) -> Tensor:
    """Returns [B, O, H, W], or half the size with `down`."""
    weight = scaled(self.weight)
    if self.down:
      x = functional.conv2d(blur(x, 2), weight, self.bias, stride=2)
    else:
      x = functional.conv2d(x, weight, self.bias, padding=weight.shape[-1] // 2)
    return self.activation(x)


class ModulatedConv(nn.Module):
  """Convolution whose input channels are scaled by a style, and whose output is re-normalised.

  Un-fused: the input is scaled and the output demodulated, which equals a convolution with other
  weights for each example, but is one dense convolution for the whole batch.
  """

  def __init__(
    self,
    inputs: int,
    outputs: int,
    style_dim: int,
    size: int = 3,
    up: bool = False,
    demodulate: bool = True,
  ):
    super().__init__()
    self.up, self.demodulate = up, demodulate
    self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
    self.modulation = Linear(style_dim, inputs, bias=1.0)

  def forward(self, x: Tensor, style: Tensor) -> Tensor:
    """Returns [B, O, H, W] (twice the size with `up`) for `style` [B, S]."""
    weight, scale = scaled(self.weight), self.modulation(style)
    x = x * scale[:, :, None, None]
    if self.up:
      x = blur(functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2), 1) * 4
    else:
      x = functional.conv2d(x, weight, padding=weight.shape[-1] // 2)
    if self.demodulate:
      power = scale.square() @ weight.square().sum((2, 3)).T
      x = x * torch.rsqrt(power + EPSILON)[:, :, None, None]
    return x


class StyledConv(nn.Module):
  """Modulated convolution, bias, leaky ReLU; noise of learned strength while training."""

  def __init__(self, inputs: int, outputs: int, style_dim: int, up: bool = False):
    super().__init__()
    self.conv = ModulatedConv(inputs, outputs, style_dim, up=up)
    self.noise = nn.Parameter(torch.zeros(()))
    self.bias = nn.Parameter(torch.zeros(outputs))

  def forward(self, x: Tensor, style: Tensor, noise: bool = False) -> Tensor:
    """As `ModulatedConv`; with `noise`, one map for the whole batch is added."""
    x = self.conv(x, style)
    if noise:
      x = x + self.noise * torch.randn(1, 1, *x.shape[2:], device=x.device)
    return leaky_relu(x + self.bias[:, None, None])


class ToRGB(nn.Module):
  """Features [B, C, H, W] -> picture [B, 3, 2H, 2W], by way of its 12 wavelet channels."""

  def __init__(self, inputs: int, style_dim: int):
    super().__init__()
    self.conv = ModulatedConv(inputs, 12, style_dim, size=1, demodulate=False)
    self.bias = nn.Parameter(torch.zeros(12))

  def forward(self, x: Tensor, style: Tensor) -> Tensor:
    """Returns [B, 3, 2H, 2W]."""
    return inverse_haar(self.conv(x, style) + self.bias[:, None, None])


class FromRGB(nn.Module):
  """Picture [B, C, 2H, 2W] -> features [B, O, H, W], by way of its wavelets."""

  def __init__(
    self, inputs: int, outputs: int, activation: Callable[[Tensor], Tensor] = leaky_relu
  ):
    super().__init__()
    self.conv = Conv(4 * inputs, outputs, 1, activation=activation)

  def forward(self, image: Tensor) -> Tensor:
    """Returns [B, O, H, W]."""
    return self.conv(haar(image))


class ConvBlock(nn.Module):
  """Two convolutions; the second halves the resolution."""

  def __init__(
    self, inputs: int, outputs: int, activation: Callable[[Tensor], Tensor] = leaky_relu
  ):
    super().__init__()
    self.conv = Conv(inputs, inputs, activation=activation)
    self.conv_down = Conv(inputs, outputs, down=True, activation=activation)

  def forward(self, x: Tensor) -> Tensor:
    """Returns [B, O, H/2, W/2]."""
    return self.conv_down(self.conv(x))


def scaled(weight: Tensor) -> Tensor:
  """Weights [O, I, k, k] as they are used."""
  return weight * math.prod(weight.shape[1:]) ** -0.5
