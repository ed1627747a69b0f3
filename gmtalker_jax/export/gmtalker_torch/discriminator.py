"""The critic that the painter is trained against: StyleGAN2's, on Haar wavelets."""

import torch
from torch import Tensor, nn

from . import style as parts


class Discriminator(nn.Module):
  """Real or painted? One logit for each picture, > 0 = real."""

  def __init__(
    self,
    size: int = 512,
    channel_multiplier: float = 1.0,
    max_channels: int = 512,
    group: int = 4,  # of the minibatch standard deviation
    dtype: str = 'float32',  # of the convolutions in training; here use torch.autocast
    inputs: int = 3,  # 6 = the picture beside its rendering
  ):
    super().__init__()
    self.group = group

    def width(resolution: int) -> int:
      return parts.channels(resolution, channel_multiplier, max_channels)

    self.from_rgb, self.block = nn.ModuleDict(), nn.ModuleDict()
    resolution, now, gain = size // 2, width(size), parts.leaky_relu_gain
    while True:
      self.from_rgb[str(resolution)] = parts.FromRGB(inputs, now, gain)
      if resolution == 4:
        break
      # A block's width is that of half its output's picture size, as published.
      self.block[str(resolution)] = parts.ConvBlock(now, now := width(resolution // 2), gain)
      resolution //= 2
    self.last = parts.Conv(now + 1, width(4), activation=gain)
    self.hidden = parts.Linear(16 * width(4), width(4))
    self.logit = parts.Linear(width(4), 1)

  def forward(self, image: Tensor) -> Tensor:
    """[B, C, size, size] -> logits [B]."""
    x = torch.zeros((), device=image.device)
    for resolution, look in self.from_rgb.items():
      x = x + look(image)
      if resolution in self.block:
        x = self.block[resolution](x)
        image = parts.downsample(image)
    x = self.last(torch.cat((x, minibatch_deviation(x, self.group)), 1))
    x = x.permute(0, 2, 3, 1).flatten(1)  # channels last: the order that `hidden` was trained in
    return self.logit(parts.leaky_relu_gain(self.hidden(x)))[:, 0]


def minibatch_deviation(x: Tensor, group: int) -> Tensor:
  """[B, 1, H, W]: how much the examples of a group differ from each other."""
  batch, _, height, width = x.shape
  group = max(g for g in range(1, min(group, batch) + 1) if batch % g == 0)
  y = x.reshape(group, batch // group, -1)
  deviation = torch.sqrt(y.var(0, unbiased=False) + parts.EPSILON).mean(-1)
  return deviation.repeat(group)[:, None, None, None].expand(-1, 1, height, width)
