"""NFMG: speech and noise -> head pose, blinks and gaze (method 3).

Command:   gmtalker train --config=configs/motion.py --workdir=DIR --config.data.records=RECORDS
Hours:     not measured at this size; `:demo` is minutes on two CPU cores
Expect:    train/generator/loss falls over the first thousand steps; ten seeds for one sound give
           ten different head motions
Variants:  '' the method's defaults (method 3.4, 8) | builtin | demo | smoke (seconds)
"""

from . import base


def get_config(variant: str = ''):
  """Returns the config of a variant; add `.data.records` (LRS3 for pre-training)."""
  config = base.get_config(variant)
  config.stage = 'motion'
  config.steps = 40_000
  config.data.frames = 128  # a multiple of the latent stride
  config.data.balanced = False  # no label enters
  config.model.update(
    latent_dim=16,
    stride=4,  # frames of one latent
    latent_layout='sequence',  # one latent per `stride` frames | vector: per clip | none at all
    flow_steps=4,  # 0 = a Gaussian prior
    flow_width=64,
    flow_layers=2,
    flow_objective='prior',  # prior (with log-det) | posterior (the figure read literally)
    flow_audio_cond=False,  # the flow hears the speech too
    width=256,
    heads=4,
    encoder_layers=4,
    decoder_layers=2,
    align_window=0,
    period=25,
    history=0,
    speech_layers=0,
    decoder_mode='autoregressive',
    dropout=0.1,
    dtype='float32',  # float32 | bfloat16: of the products in encoder and decoder
  )
  config.loss.update(
    rec=1.0,
    pose=1.0,
    blink=2.0,
    gaze=1.0,
    velocity=3.0,
    kl=0.4,
    kl_steps=10_000,
    free_bits=0.05,  # nats per latent dimension
    scheduled_sampling=0.5,
    scheduled_sampling_steps=10_000,
    feedback_dropout=0.0,  # share of fed-back frames that are withheld
    feedback_noise=0.0,  # added to them, in standard deviations
  )
  config.optimizers.generator = base.adam(
    5e-4, schedule='exponential', decay_steps=250_000, decay=0.1
  )
  return base.vary(config, variant, demo=_demo, builtin=_builtin, smoke=_smoke)


def _demo(config):
  config.steps = 1_000
  config.save_every = 500
  config.data.batch_size = 16
  config.data.frames = 64
  config.evaluation.every = 500
  config.model.update(
    width=96,
    encoder_layers=2,
    decoder_layers=2,
    flow_width=32,
    flow_layers=1,
    align_window=6,
    dropout=0.05,
  )
  config.loss.update(
    kl=0.1, kl_steps=500, scheduled_sampling=0.0, feedback_dropout=0.4, feedback_noise=0.2
  )
  config.optimizers.generator.update(
    rate=1e-3, warmup=100, schedule='cosine', decay_steps=config.steps
  )


def _builtin(config):
  config.steps = 2_500
  config.loss.update(kl=0.2, kl_steps=1_000)
  config.optimizers.generator.decay_steps = config.steps


def _smoke(config):
  config.data.frames = 12
  config.model.update(
    latent_dim=4, flow_steps=2, flow_width=8, flow_layers=1, width=16, heads=2, encoder_layers=1,
    decoder_layers=1,
  )  # fmt: skip
  config.optimizers.generator.update(warmup=1, decay_steps=4)
