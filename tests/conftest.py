"""What every test shares: eight virtual devices, quick compiles, a cache of them, strict numerics.

Nearly all of a test's time is XLA's compiler at work on a tiny network. Without its optimisations
it takes a quarter of the time; the README's commands run with them, as a user would.
"""

import os
import tempfile

os.environ['XLA_FLAGS'] = (
  os.environ.get('XLA_FLAGS', '')
  + ' --xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0'
)
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault(
  'JAX_COMPILATION_CACHE_DIR', os.path.join(tempfile.gettempdir(), 'gmtalker-jax-cache')
)
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.5')

import jax
from absl import flags

flags.FLAGS.mark_as_parsed()  # grain's workers read absl flags
jax.config.update('jax_numpy_rank_promotion', 'raise')


def pytest_collection_modifyitems(items):
  """The slow tests go first, so that no core waits for the last of them."""
  items.sort(key=lambda item: item.get_closest_marker('slow') is None)
