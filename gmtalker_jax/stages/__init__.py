"""The three stages by name: `STAGES[name].make(model, loss, optimizers, ema_decay) -> Stage`."""

from gmtalker_jax.stages import expression, motion, portrait

STAGES = {'expression': expression, 'motion': motion, 'portrait': portrait}
