"""One mesh, one axis: the batch lies over `data`, the state is copied or cut up."""

from collections.abc import Sequence
from typing import Any, cast

import jax
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

AXIS = 'data'
SMALLEST = 2**16  # elements; a smaller array is copied: gathering it costs more than it saves


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
  """A mesh of all devices (or of these) with the one axis `data`.

  The axis is Auto: XLA places the collectives. (Explicit, JAX's default, breaks linen's Dropout.)
  """
  devices = jax.devices() if devices is None else devices
  return Mesh(np.asarray(devices), (AXIS,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
  """A whole copy on every device."""
  return NamedSharding(mesh, P())


def over_data(mesh: Mesh) -> NamedSharding:
  """The leading axis cut over the devices."""
  return NamedSharding(mesh, P(AXIS))


def fsdp(like: Any, mesh: Mesh) -> Any:
  """A sharding for each array of `like`: its largest axis that divides is cut over the devices.

  Arrays of fewer than `SMALLEST` elements are copied.
  """
  size = mesh.size

  def place(x):
    axes = [a for a in np.argsort(x.shape, kind='stable')[::-1] if x.shape[a] % size == 0]
    if not axes or np.prod(x.shape) < SMALLEST:
      return replicated(mesh)
    spec = [None] * len(x.shape)
    spec[axes[0]] = AXIS
    return NamedSharding(mesh, P(*spec))

  return jax.tree.map(place, like)


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
