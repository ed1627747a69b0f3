"""The stages by name. Whatever has to know about all of them walks this table."""

from gmtalker_jax.stages import expression, motion, portrait
from gmtalker_jax.stages.base import Spec

STAGES: dict[str, Spec] = {
  spec.name: spec for spec in (expression.SPEC, motion.SPEC, portrait.SPEC)
}
