"""GMEG: speech and emotion weights -> expression coefficients (method 2).

Command:   gmtalker train --config=configs/expression.py --workdir=DIR --config.data.records=RECORDS
Hours:     not measured at this size; `:demo` is minutes on two CPU cores
Expect:    test/rec falls below 1.0 (the mean face) within the first thousand steps and
           test/responsibility_accuracy rises towards 1 on data with emotion labels
Variants:  '' the method's defaults (method 8) | builtin | demo | smoke (seconds)
"""

from . import base


def get_config(variant: str = ''):
  """Returns the config of a variant; add `.data.records`."""
  config = base.get_config(variant)
  config.stage = 'expression'
  base.emotional(config)
  config.data.frames = 100  # a window of 4 s
  config.model.update(
    emotions=8,  # components of the mixture; 1 = a single Gaussian
    told=False,  # the decoder is told the emotion beside z; with emotions=1: a conditional VAE
    width=256,
    latent_dim=256,
    w_dim=64,
    heads=4,
    encoder_layers=4,
    decoder_layers=2,
    mapper='mlp',  # mlp | transformer
    align_window=0,  # half width of the cross attention in frames; 0 = the paper
    period=25,
    history=0,  # own past frames that the decoder sees; 0 = all
    speech_layers=0,  # context layers over the speech; 0 = the paper, HuBERT has context
    decoder_mode='autoregressive',  # autoregressive | parallel
    dropout=0.1,
    dtype='float32',  # float32 | bfloat16: of the products in encoder and decoder
    sync={'width': 256},  # of the network that judges lip-sync, with loss.sync
  )
  config.loss.update(
    rec=1.0,
    velocity=0.0,  # not in the paper
    cond_start=1e-3,
    cond=1e-2,
    cond_steps=10_000,
    w=1e-3,
    emo=1e-2,
    label_mode='label',  # label | posterior | semi
    label_free_bits=0.0,  # nats of the cross-entropy of a label
    uniform_free_bits=0.9,  # share of log K in KL(r || U) where there is no label
    soft_labels='interpolation',  # interpolation | weighted, see losses/variational.py
    elbo_scale='mean',  # mean | sum: every weight 1, rec = squared error / (2 sigma^2)
    sigma=1.0,  # of the likelihood, for 'sum'
    scheduled_sampling=0.5,
    scheduled_sampling_steps=10_000,
    feedback_dropout=0.0,  # share of fed-back frames that are withheld
    feedback_noise=0.0,  # added to them, in standard deviations
    subject_dropout=0.1,
    sync=0.0,  # of lip-sync, judged by a network that learns beside; not in the paper (0.01)
    sync_start=1_000,  # steps that it learns before the generator listens
  )
  config.optimizers.generator = base.adam(1e-4)
  config.optimizers.sync = base.adam(1e-4)
  return base.vary(config, variant, demo=_demo, builtin=_builtin, smoke=_smoke)


def _demo(config):
  config.steps = 1_500
  config.save_every = 500
  config.data.batch_size = 16
  config.data.frames = 64
  config.evaluation.every = 500
  # The built-in speech features have less context than HuBERT: two layers that look around and a
  # wider attention make up for it.
  config.model.update(
    width=96,
    latent_dim=96,
    w_dim=32,
    encoder_layers=2,
    decoder_layers=2,
    align_window=6,
    speech_layers=2,
    dropout=0.05,
  )
  # In so few steps the decoder must learn to listen, not to copy the frame before.
  config.loss.update(
    velocity=0.5,
    cond=0.02,
    cond_steps=600,
    w=0.02,  # w keeps a manner, not the emotion's strength: that belongs to z
    scheduled_sampling=0.0,
    feedback_dropout=0.5,
    feedback_noise=0.3,
    sync_start=300,
  )
  config.optimizers.generator.update(rate=1.5e-3, warmup=100, decay_steps=config.steps)
  config.optimizers.sync.update(rate=1e-3, warmup=100, decay_steps=config.steps)


def _builtin(config):
  config.steps = 1_600
  config.model.update(width=128, latent_dim=128)
  config.loss.cond_steps = 1_000
  config.optimizers.generator.update(rate=1e-3, decay_steps=config.steps)
  config.optimizers.sync.decay_steps = config.steps


def _smoke(config):
  config.data.frames = 12
  config.model.update(width=16, latent_dim=16, w_dim=8, heads=2, encoder_layers=1, decoder_layers=1)
  config.model.sync.width = 16
  config.loss.sync_start = 0
  for name in config.optimizers:
    config.optimizers[name].update(warmup=1, decay_steps=4)
