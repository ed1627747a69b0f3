"""One mesh of two axes: the batch lies over both, the state is copied, or cut up along the second.

So `data` x 1 copies the state to each device, 1 x `fsdp` keeps one copy in all, and between the two
each group of `fsdp` neighbours keeps one.
"""

import math
from collections.abc import Sequence
from typing import Any, cast

import jax
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gmtalker_jax.core.errors import InputError, did_you_mean

AXIS, FSDP = 'data', 'fsdp'
ALL = 'all'  # as the length of an axis: whatever the other one leaves
SHAPE = rf'({ALL}|[1-9]\d*)(x({ALL}|[1-9]\d*))?'
SMALLEST = 2**16  # elements; a smaller array is copied: gathering it costs more than it saves


def make_mesh(devices: Sequence[jax.Device] | None = None, shape: str = ALL) -> Mesh:
  """A mesh of all devices (or of these) with the axes `data` and `fsdp`.

  The axes are Auto: XLA places the collectives. (Explicit, JAX's default, breaks linen's Dropout.)

  Args:
    devices: neighbours share a state.
    shape: their number along `data`, or along both: '8', '4x2', '1xall'.

  Raises:
    InputError: there are more devices, or fewer.
  """
  devices = jax.devices() if devices is None else devices
  sides = _sides(shape, len(devices))
  if math.prod(sides) != len(devices):
    raise InputError(
      f'got mesh {shape} for {len(devices)} devices, expected one of all of them, such as {ALL}, '
      f'1x{ALL} or {len(devices)}; set config.mesh'
    )
  return Mesh(np.asarray(devices).reshape(sides), (AXIS, FSDP), axis_types=(AxisType.Auto,) * 2)


def _sides(shape: str, devices: int) -> tuple[int, int]:
  given = [None if side == ALL else int(side) for side in f'{shape}x1'.split('x')[:2]]
  known = math.prod(side for side in given if side)
  rest = max(devices // known, 1)
  sides = []
  for side in given:
    sides.append(side or rest)
    rest = rest if side else 1
  return sides[0], sides[1]


def replicated(mesh: Mesh) -> NamedSharding:
  """A whole copy on every device."""
  return NamedSharding(mesh, P())


def over_data(mesh: Mesh) -> NamedSharding:
  """The leading axis cut over all devices."""
  return NamedSharding(mesh, P((AXIS, FSDP)))


def of_state(like: Any, mesh: Mesh, copied: Sequence[str] = ()) -> Any:
  """A sharding for each array of `like`: its largest axis that divides is cut along `fsdp`.

  Args:
    like: a tree of arrays or of their shapes.
    mesh: where `fsdp` is 1 all is copied.
    copied: what is copied all the same, by parts of paths: 'decoder.norm' stands in
      'params.generator.decoder.norm.scale' as well as in its moments. Arrays of fewer than
      `SMALLEST` elements are copied anyway.

  Raises:
    InputError: a name of `copied` stands in no path.
  """
  paths = {
    path: f'.{jax.tree_util.keystr(path, simple=True, separator=".")}.'
    for path, _ in jax.tree_util.tree_leaves_with_path(like)
  }
  for name in copied:
    if not any(f'.{name}.' in path for path in paths.values()):
      known = sorted({part for path in paths.values() for part in path.strip('.').split('.')})
      raise InputError(f'got copied={name!r}, which is in no path{did_you_mean(name, known)}')

  def place(path, x):
    if any(f'.{name}.' in paths[path] for name in copied):
      return replicated(mesh)
    return _cut(x.shape, mesh)

  return jax.tree_util.tree_map_with_path(place, like)


def _cut(shape: tuple[int, ...], mesh: Mesh) -> NamedSharding:
  size = mesh.shape[FSDP]
  axes = [a for a in np.argsort(shape, kind='stable')[::-1] if shape[a] % size == 0]
  if size == 1 or not axes or np.prod(shape) < SMALLEST:
    return replicated(mesh)
  spec: list[str | None] = [None] * len(shape)
  spec[axes[0]] = FSDP
  return NamedSharding(mesh, P(*spec))


def gather(tree: Any, mesh: Mesh) -> Any:
  """Inside a compiled function: a cut state's arrays, whole on every device while they are used.

  Without it XLA carries the cut of a weight on into what it is multiplied with (a few heads of
  attention on each device) and sends activations back and forth.
  """
  if mesh.shape[FSDP] == 1:
    return tree  # whole already: a word about it would be a copy inside a branch
  return jax.lax.with_sharding_constraint(tree, replicated(mesh))


def place_batch(batch: Any, mesh: Mesh) -> Any:
  """Puts this process's share of a batch, its rows in the order of its devices, on them.

  Every copy is explicit, so `jax.transfer_guard('disallow')` lets it pass.
  """
  if jax.process_count() == 1:
    return jax.device_put(batch, over_data(mesh))
  return jax.tree.map(lambda x: _global(x, over_data(mesh), jax.process_count()), batch)


def place_everywhere(value: Any, mesh: Mesh) -> jax.Array:
  """Puts what every process has onto every device."""
  return _global(np.asarray(value), replicated(mesh), 1)


def _global(local: np.ndarray, target: NamedSharding, shares: int) -> jax.Array:
  """The array of all processes, of which `local` is one of so many shares of rows."""
  shape = (local.shape[0] * shares, *local.shape[1:]) if local.ndim else ()
  found = target.addressable_devices_indices_map(shape)
  places = cast('dict[jax.Device, tuple[slice, ...]]', found)
  first = min((where[0].start or 0 for where in places.values() if where), default=0)
  parts = []
  for device, where in places.items():
    rows = slice(None)
    if local.ndim and where[0] != slice(None):
      rows = slice(where[0].start - first, where[0].stop - first)
    parts.append(jax.device_put(local[rows] if local.ndim else local, device))
  return jax.make_array_from_single_device_arrays(shape, target, parts)


def average_gradients(axis: str | None) -> optax.GradientTransformation:
  """Averages gradients over a mapped axis; the identity where there is none.

  First in the chain of an optimizer, it turns any step into a data-parallel one. It is there in
  both modes, so that their optimizer states have one structure.
  """
  return optax.stateless(
    lambda updates, params: updates if axis is None else jax.lax.pmean(updates, axis)
  )
