"""The public StyleUNet from its description alone: another way to the same pictures.

Grouped convolutions with weights of each example's own, filters as zero-stuffing and convolution,
and pictures that are added as wavelets. Layers have the names of the public training files.
"""

import math

import torch
from torch import nn
from torch.nn import functional

TAPS = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64
LOW, HIGH = torch.tensor([1.0, 1]) / math.sqrt(2), torch.tensor([-1.0, 1]) / math.sqrt(2)
BANDS = [torch.outer(rows, columns) for columns in (LOW, HIGH) for rows in (LOW, HIGH)]
SIGNS = (1, -1, -1, 1)


def filtered(x, taps, up=1, down=1, pad=(0, 0)):
  """Zeros between the pixels, zeros around, true convolution, every `down`-th pixel."""
  b, c, h, w = x.shape
  if up > 1:
    wide = x.new_zeros(b, c, h * up, w * up)
    wide[:, :, ::up, ::up] = x
    x = wide
  x = functional.pad(x, (*pad, *pad))
  kernel = taps.flip(0, 1)[None, None].expand(c, 1, -1, -1)
  return functional.conv2d(x, kernel, groups=c)[:, :, ::down, ::down]


def wavelets(x):
  return torch.cat([filtered(x, band, down=2) for band in BANDS], 1)


def pixels(x):
  parts = zip(x.chunk(4, 1), BANDS, SIGNS, strict=True)
  return sum(filtered(part, sign * band, up=2, pad=(1, 0)) for part, band, sign in parts)


class Equalised(nn.Module):
  def __init__(self, shape, bias):
    super().__init__()
    self.weight = nn.Parameter(torch.randn(shape))
    self.bias = nn.Parameter(torch.randn(bias) * 0.1)
    self.gain = 1 / math.sqrt(math.prod(shape[1:]))


class Layer(nn.Sequential):
  """Key '0' is the convolution; with `down`, the filter is '0' and the convolution '1'."""

  def __init__(self, inputs, outputs, size, down=False):
    conv = Equalised((outputs, inputs, size, size), outputs)
    super().__init__(*([nn.Identity(), conv] if down else [conv]))
    self.down = down

  def forward(self, x):
    conv = self[-1]
    if self.down:
      x = filtered(x, TAPS, pad=(2, 2))
    pad = 0 if self.down else conv.weight.shape[-1] // 2
    x = functional.conv2d(x, conv.weight * conv.gain, conv.bias, 2 if self.down else 1, pad)
    return functional.leaky_relu(x, 0.2)


class Modulated(nn.Module):
  def __init__(self, inputs, outputs, size, style, up=False, demodulate=True):
    super().__init__()
    self.weight = nn.Parameter(torch.randn(1, outputs, inputs, size, size))
    self.modulation = Equalised((inputs, style), inputs)
    self.up, self.demodulate = up, demodulate

  def forward(self, x, style):
    m = self.modulation
    scale = functional.linear(style, m.weight * m.gain, m.bias)
    out = []
    for one, own in zip(x, scale, strict=True):  # each example with weights of its own
      weight = self.weight[0] / math.sqrt(math.prod(self.weight.shape[2:])) * own[:, None, None]
      if self.demodulate:
        weight = weight * (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).rsqrt()
      if self.up:
        y = functional.conv_transpose2d(one[None], weight.transpose(0, 1), stride=2)
        y = filtered(y, 4 * TAPS, pad=(1, 1))
      else:
        y = functional.conv2d(one[None], weight, padding=weight.shape[-1] // 2)
      out.append(y)
    return torch.cat(out)


class Noise(nn.Module):
  def __init__(self):
    super().__init__()
    self.weight = nn.Parameter(torch.zeros(1))


class Styled(nn.Module):
  def __init__(self, inputs, outputs, style, up):
    super().__init__()
    self.conv = Modulated(inputs, outputs, 3, style, up)
    self.bias = nn.Parameter(torch.randn(1, outputs, 1, 1) * 0.1)
    self.noise = Noise()

  def forward(self, x, style):
    return functional.leaky_relu(self.conv(x, style) + self.bias, 0.2)


class ToRGB(nn.Module):
  def __init__(self, inputs, style):
    super().__init__()
    self.conv = Modulated(inputs, 12, 1, style, demodulate=False)
    self.bias = nn.Parameter(torch.randn(1, 12, 1, 1) * 0.1)

  def forward(self, x, style, below):
    x = self.conv(x, style) + self.bias
    if below is None:
      return x
    return x + wavelets(filtered(pixels(below), 4 * TAPS, up=2, pad=(2, 1)))


class FromRGB(nn.Module):
  def __init__(self, outputs):
    super().__init__()
    self.conv = Layer(12, outputs, 1)
    self.register_buffer('kernel', TAPS)


class Block(nn.Module):
  def __init__(self, inputs, outputs):
    super().__init__()
    self.conv1, self.conv2 = Layer(inputs, inputs, 3), Layer(inputs, outputs, 3, down=True)


class StyleUNet(nn.Module):
  def __init__(self, input_size, output_size, style=64):
    super().__init__()
    layers = []
    for _ in range(4):
      layers += [nn.Linear(style, style), nn.LeakyReLU(0.1)]
    self.mapping = nn.Sequential(*layers[:-1])
    width = lambda size: min(512, 32768 // size)  # noqa: E731
    self.from_rgbs, self.cond_convs, self.comb_convs = (nn.ModuleList() for _ in range(3))
    now, size = width(input_size), input_size // 4
    while size > 8:
      size //= 2
      self.from_rgbs.append(FromRGB(now))
      self.cond_convs.append(Block(now, width(size)))
      self.comb_convs.append(Layer(width(size) * (2 if size > 8 else 1), width(size), 3))
      now = width(size)
    self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
    size = 16
    while size <= output_size // 2:
      self.convs += [
        Styled(now, width(size), style, True),
        Styled(width(size), width(size), style, False),
      ]
      self.to_rgbs.append(ToRGB(width(size), style))
      now, size = width(size), 2 * size

  def forward(self, rendering, code):
    """`code` is what the mapping network made."""
    bands, x, seen = wavelets(rendering), None, []
    for look, block in zip(self.from_rgbs, self.cond_convs, strict=True):
      bands = wavelets(filtered(pixels(bands), TAPS, down=2, pad=(1, 1)))
      features = look.conv(bands)
      x = block.conv2(block.conv1(features if x is None else features + x))
      seen.append(x)
    picture = None
    for i, to_rgb in enumerate(self.to_rgbs):
      if i == 0:
        x = self.comb_convs[-1](seen[-1])
      elif i < len(seen):
        x = self.comb_convs[-1 - i](torch.cat((x, seen[-1 - i]), 1))
      x = self.convs[2 * i + 1](self.convs[2 * i](x, code), code)
      picture = to_rgb(x, code, picture)
    return pixels(picture)
