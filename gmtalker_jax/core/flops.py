"""What a program asks for: the flops of its matrix products and convolutions, as they are written.

Compilers count what they made of it, each in its own way and some not at all.
"""

import math
from collections.abc import Iterator
from typing import Any

from jax.interpreters import partial_eval


def count(jaxpr: Any) -> float:
  """Flops of a closed jaxpr, over all devices.

  A loop of known length counts as often as it runs, any other once; of branches the dearest one
  counts. Padding counts as if it were data; the zeros of dilation do not, nor what nobody reads,
  such as the gradient of a network's inputs.
  """
  outputs = [True] * len(jaxpr.jaxpr.outvars)
  return _count(partial_eval.dce_jaxpr(jaxpr.jaxpr, outputs, instantiate=True)[0])


def _count(jaxpr: Any) -> float:
  return sum(_of(eqn) for eqn in getattr(jaxpr, 'jaxpr', jaxpr).eqns)


def _of(eqn: Any) -> float:
  name, params = eqn.primitive.name, eqn.params
  if name == 'dot_general':
    return _product(eqn)
  if name == 'conv_general_dilated':
    return _convolution(eqn)
  if name == 'cond':
    return max(_count(branch) for branch in params['branches'])
  times = {'scan': params.get('length'), 'shard_map': getattr(params.get('mesh'), 'size', None)}
  return (times.get(name) or 1) * sum(_count(inner) for inner in _inner(params))


def _product(eqn: Any) -> float:
  (contracted, _), _ = eqn.params['dimension_numbers']
  each = math.prod(eqn.invars[0].aval.shape[axis] for axis in contracted)
  return 2.0 * each * math.prod(eqn.outvars[0].aval.shape)


def _convolution(eqn: Any) -> float:
  kernel = eqn.invars[1].aval.shape
  outputs = kernel[eqn.params['dimension_numbers'].rhs_spec[0]]
  skipped = math.prod(eqn.params['lhs_dilation'])
  return 2.0 * math.prod(eqn.outvars[0].aval.shape) * math.prod(kernel) / outputs / skipped


def _inner(params: Any) -> Iterator[Any]:
  for value in params.values():
    for each in value if isinstance(value, tuple | list) else (value,):
      if hasattr(each, 'eqns') or hasattr(getattr(each, 'jaxpr', None), 'eqns'):
        yield each
