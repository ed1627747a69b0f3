"""Which networks judge here, by the digest of their weights."""

import hashlib

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import carriers, identity, perceptual, sync_judge

_WEIGHTS = {
  'alexnet': lambda: perceptual.packaged('alexnet').read_bytes(),
  'mobilefacenet': lambda: identity.place().read_bytes(),
  'fer': carriers.fer,
  'lip_sync': lambda: sync_judge.place().read_bytes(),
  'faceapi': lambda: carriers.face_expression()[1],
}


def digests() -> dict[str, str]:
  """Name -> the first 16 letters of the SHA-256, of those that are in place."""
  found = {}
  for name, read in _WEIGHTS.items():
    try:
      found[name] = hashlib.sha256(read()).hexdigest()[:16]
    except InputError:
      continue
  return found
