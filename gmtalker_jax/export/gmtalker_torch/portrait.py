"""A rendering of the head becomes a photograph: emotion mapping and StyleUNet."""

import torch
from torch import Tensor, nn

from . import style as parts


class EmotionMapping(nn.Module):
  """A style code from a random style and the weights of the emotions, linear in the latter.

  A trunk that all emotions share, one head of two layers for each.
  """

  def __init__(self, emotions: int, style_dim: int, width: int, trunk_layers: int = 2):
    super().__init__()
    sizes = [style_dim] + [width] * trunk_layers
    self.trunk = nn.ModuleList(map(parts.Linear, sizes, sizes[1:]))
    self.hidden_weight = nn.Parameter(torch.randn(emotions, width, width))
    self.hidden_bias = nn.Parameter(torch.zeros(emotions, width))
    self.code_weight = nn.Parameter(torch.randn(emotions, width, style_dim))
    self.code_bias = nn.Parameter(torch.zeros(emotions, style_dim))

  def forward(self, z_style: Tensor, emotion: Tensor) -> Tensor:
    """z_style [B, style_dim] ~ N(0, I), emotion weights [B, K] -> [B, style_dim]."""
    return torch.einsum('bk,bks->bs', emotion, self.branches(z_style))

  def branches(self, z_style: Tensor) -> Tensor:
    """The codes of all pure emotions, [B, K, style_dim]."""
    x = parts.pixel_norm(z_style)
    for layer in self.trunk:
      x = parts.leaky_relu_gain(layer(x))
    weight = self.hidden_weight * self.hidden_weight.shape[1] ** -0.5
    x = parts.leaky_relu_gain(torch.einsum('bi,kio->bko', x, weight) + self.hidden_bias)
    weight = self.code_weight * self.code_weight.shape[1] ** -0.5
    return torch.einsum('bki,kio->bko', x, weight) + self.code_bias


class StyleMapping(nn.Module):
  """A style code from a random style alone: of a painter that is told no emotion."""

  def __init__(self, style_dim: int, layers: int = 4):
    super().__init__()
    self.layer = nn.ModuleList(parts.Linear(style_dim, style_dim) for _ in range(layers))

  def forward(self, z_style: Tensor, emotion: Tensor) -> Tensor:
    """z_style [B, style_dim] ~ N(0, I) -> [B, style_dim]; the emotion is not looked at."""
    del emotion
    x = parts.pixel_norm(z_style)
    for layer in self.layer:
      x = parts.leaky_relu_gain(layer(x))
    return x


class StyleUNet(nn.Module):
  """A U-Net on Haar wavelets whose decoder is modulated by a style.

  The encoder looks at ever smaller copies of the rendering, from half its size down to 8x8; the
  decoder climbs to output_size / 2 and adds up pictures on the way. `fuse_detail` also shows it the
  rendering at each of its resolutions.
  """

  def __init__(
    self,
    input_size: int,
    output_size: int,
    style_dim: int,
    inputs: int = 3,
    channel_multiplier: float = 1.0,
    max_channels: int = 512,
    fuse_detail: bool = False,
  ):
    super().__init__()
    self.input_size, self.output_size = input_size, output_size

    def width(resolution: int) -> int:
      return parts.channels(resolution, channel_multiplier, max_channels)

    self.from_rgb, self.encode, self.fuse = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
    self.detail_rgb, self.detail = nn.ModuleDict(), nn.ModuleDict()
    self.decode, self.to_rgb = nn.ModuleDict(), nn.ModuleDict()
    features, now = [], width(input_size)
    resolution = input_size // 4
    while resolution > 8:
      self.from_rgb[str(resolution)] = parts.FromRGB(inputs, now)
      resolution //= 2
      self.encode[str(resolution)] = parts.ConvBlock(now, now := width(resolution))
      features.append(resolution)
    resolution = input_size // 2
    while fuse_detail and resolution > 8:
      self.detail_rgb[str(resolution)] = parts.FromRGB(inputs, width(resolution))
      self.detail[str(resolution)] = parts.Conv(width(resolution), width(resolution))
      resolution //= 2
    resolution, now = 8, 0
    while resolution < output_size // 2:
      if resolution in features:
        own = width(resolution)
        self.fuse[str(resolution)] = parts.Conv(now + own, own)
        now = own
      resolution *= 2
      own = width(resolution)
      self.decode[str(resolution)] = nn.ModuleList(
        [parts.StyledConv(now, own, style_dim, up=True), parts.StyledConv(own, own, style_dim)]
      )
      self.to_rgb[str(resolution)] = parts.ToRGB(own, style_dim)
      now = own

  def forward(self, rendering: Tensor, style: Tensor, noise: bool = False) -> Tensor:
    """rendering [B, C, h, w], style [B, S] -> [B, 3, H, W]."""
    features, details = self._encode(rendering), self._details(rendering)
    x = rendering[:, :0, :8, :8]  # no channels yet
    image = torch.zeros((), device=x.device)
    for resolution, (up, flat) in self.decode.items():
      below = str(int(resolution) // 2)
      if below in self.fuse:
        x = self.fuse[below](torch.cat((x, features[below]), 1))
      x = up(x, style, noise)
      if resolution in details:
        x = x + details[resolution]
      x = flat(x, style, noise)
      painted = self.to_rgb[resolution](x, style)
      image = painted if image.ndim == 0 else parts.upsample(image) + painted
    return image

  def _encode(self, image: Tensor) -> dict[str, Tensor]:
    """Encoder features by resolution: 8, 16, .. input_size / 8."""
    x, features = torch.zeros((), device=image.device), {}
    for look, (resolution, block) in zip(self.from_rgb.values(), self.encode.items(), strict=True):
      image = parts.downsample(image)
      features[resolution] = x = block(x + look(image))
    return features

  def _details(self, image: Tensor) -> dict[str, Tensor]:
    """The rendering as features at the decoder's resolutions."""
    details = {}
    for resolution, look in self.detail_rgb.items():
      details[resolution] = self.detail[resolution](look(image))
      image = parts.downsample(image)
    return details


class PortraitGenerator(nn.Module):
  """Emotion mapping beside StyleUNet.

  `zgm_injection` says how the latent of the expression generator reaches the picture: by the style
  ('style_concat'), as constant channels of the rendering ('input_concat'), or not at all ('none').
  """

  def __init__(
    self,
    input_size: int = 256,
    output_size: int = 512,
    channel_multiplier: float = 1.0,
    max_channels: int = 512,
    style_dim: int = 64,
    emotions: int = 8,
    latent_dim: int = 256,
    zgm_injection: str = 'style_concat',
    latent_channels: int = 8,
    style_mapping: str = 'emotion',  # or plain
    mapping_width: int = 256,
    fuse_detail: bool = False,
    dtype: str = 'float32',  # of the convolutions in training; here use torch.autocast
  ):
    super().__init__()
    self.style_dim, self.input_size, self.zgm_injection = style_dim, input_size, zgm_injection
    self.mapping = (
      StyleMapping(style_dim)
      if style_mapping == 'plain'
      else EmotionMapping(emotions, style_dim, mapping_width)
    )
    inputs = 3
    if zgm_injection == 'style_concat':
      self.latent = parts.Linear(latent_dim, style_dim)
      self.style = parts.Linear(2 * style_dim, style_dim)
    elif zgm_injection == 'input_concat':
      self.latent = parts.Linear(latent_dim, latent_channels)
      inputs += latent_channels
    self.unet = StyleUNet(
      input_size, output_size, style_dim, inputs, channel_multiplier, max_channels, fuse_detail
    )

  def forward(
    self, rendering: Tensor, emotion: Tensor, latent: Tensor, z_style: Tensor, noise: bool = False
  ) -> Tensor:
    """Paints photographs.

    Args:
      rendering: [B, 3, h, w], -1..1, h = w = input_size.
      emotion: [B, K] weights that add up to 1.
      latent: [B, Z] of the expression generator.
      z_style: [B, style_dim] ~ N(0, I); the same for every frame of a talk.
      noise: as in training.

    Returns:
      [B, 3, H, W], about -1..1 and not clipped, H = W = output_size.
    """
    style = self.mapping(z_style, emotion)
    if self.zgm_injection == 'style_concat':
      style = self.style(torch.cat((style, self.latent(latent)), -1))
    elif self.zgm_injection == 'input_concat':
      own = self.latent(latent)[:, :, None, None].expand(-1, -1, *rendering.shape[2:])
      rendering = torch.cat((rendering, own), 1)
    return self.unet(rendering, style, noise)
