"""Emotional talking portraits in JAX: GMTalker (arXiv 2312.07669) from speech to video.

import gmtalker_jax as gm

gm.load('builtin').speak('voice.wav', emotion='happy').save('talk.mp4')
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from gmtalker_jax.api import Talk, Talker, load
  from gmtalker_jax.core.errors import InputError

__all__ = ['InputError', 'Talk', 'Talker', 'load']


def __getattr__(name: str) -> Any:
  """Imports jax and everything else only when one of these names is asked for."""
  if name not in __all__:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  from gmtalker_jax import api

  return getattr(api, name)


def __dir__() -> list[str]:
  return __all__
