"""What `pip install gmtalker_jax` leaves out, and which extra brings it."""

import importlib.util

from gmtalker_jax.core.errors import InputError

# extra -> the packages that a command imports from it (pyproject.toml has their versions)
EXTRAS = {
  'prepare': ('ai_edge_litert',),
  'corpus': ('espeakng_loader', 'scipy'),
  'report': ('dm_pix', 'jinja2', 'matplotlib', 'sklearn'),
  'sweep': ('submitit',),
  'tensorboard': ('tensorboardX',),
  'plan': ('libtpu',),
  'torch': ('onnx', 'onnxscript', 'torch'),
}


def require(command: str, *extras: str) -> None:
  """Raises InputError where `gmtalker command` cannot run without a package that is not here."""
  for extra in extras:
    for package in EXTRAS[extra]:
      if importlib.util.find_spec(package) is None:
        raise InputError(
          f'got no package {package!r}, expected it for `gmtalker {command}`; '
          f"run: pip install 'gmtalker_jax[{extra}]'"
        )
