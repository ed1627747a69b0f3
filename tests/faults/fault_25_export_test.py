"""Fault 25: a tensor is transposed, statistics or averages are missing: export fails, named."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import tiny_talker
from safetensors.numpy import load_file, save

from gmtalker_jax.cli.main import main
from gmtalker_jax.export import rules
from gmtalker_jax.inference import bundling
from gmtalker_jax.stages import STAGES

PROVENANCE = {name: {'step': 7, 'config': {'ema_decay': 0.9}} for name in STAGES}


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  root = tmp_path_factory.mktemp('fault25')
  bundling.save(tiny_talker.talker(), root / 'talker', PROVENANCE, 'float32')
  assert main(['export', '--talker', str(root / 'talker'), '--out', str(root / 'exported')]) == 0
  return root


@pytest.fixture
def folder(whole, tmp_path):
  shutil.copytree(whole, tmp_path / 'f')
  return tmp_path / 'f'


def _check(folder, capsys):
  """Compares the exported folder again: (exit code, the one line of the error)."""
  words = ['export', '--talker', str(folder / 'talker'), '--check', str(folder / 'exported')]
  code, error = main(words), capsys.readouterr().err
  assert error.count('\n') == 1
  return code, error


def _edit(path, change):
  value = json.loads(path.read_text())
  change(value)
  path.write_text(json.dumps(value))


def _edit_tensors(folder, name, change):
  """Changes tensors and signs them anew, so that only the comparison can find it."""
  path = folder / 'exported' / f'{name}.safetensors'
  tensors = load_file(path)
  change(tensors)
  path.write_bytes(save({k: np.ascontiguousarray(v) for k, v in tensors.items()}))
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  _edit(folder / 'exported' / 'config.json', lambda c: c['sha256'].update({path.name: digest}))


@pytest.mark.parametrize(
  ('network', 'tensor', 'layer'),
  [
    ('expression', 'encoder.blocks.0.attention.query.weight', 'encoder.blocks.0.attention.query'),
    ('motion', 'conditioners.1.encoder.blocks.0.attention.out.weight', 'conditioners.1.encoder'),
    ('portrait', 'mapping.trunk.0.weight', 'mapping.trunk.0'),
    ('portrait', 'unet.decode.16.1.conv.weight', 'unet.decode.16.1.conv'),
  ],
)
def test_a_transposed_tensor_fails_and_its_layer_is_named(folder, capsys, network, tensor, layer):
  def transpose(tensors):
    assert tensors[tensor].shape[0] == tensors[tensor].shape[1]  # nothing but the numbers tells
    tensors[tensor] = tensors[tensor].swapaxes(0, 1)

  _edit_tensors(folder, network, transpose)
  code, error = _check(folder, capsys)
  assert code == 1
  assert f'not verified: {network}.{layer}' in error
  assert json.loads((folder / 'exported' / 'parity.json').read_text())['verified'] is False


def test_a_transposed_tensor_of_another_shape_is_named_too(folder, capsys):
  name = 'head_w.weight'
  _edit_tensors(folder, 'expression', lambda t: t.update({name: t[name].T}))
  code, error = _check(folder, capsys)
  assert code == 1
  assert name in error
  assert not (folder / 'exported' / 'parity.json').exists()


@pytest.mark.parametrize('change', ['missing', 'unknown'])
def test_the_state_dictionary_is_strict(folder, capsys, change):
  name = 'decoder.norm.bias'
  _edit_tensors(
    folder, 'motion', lambda t: t.pop(name) if change == 'missing' else t.update(stray=t[name])
  )
  code, error = _check(folder, capsys)
  assert code == 1
  assert (name if change == 'missing' else 'stray') in error


def test_exporting_itself_fails_when_a_rule_is_wrong(folder, capsys, monkeypatch):
  """Nothing is left at --out, and what lay there before is untouched."""
  right = rules.to_torch

  def wrong(params):
    state = right(params)
    for name in state:
      if name.endswith('self_attention.out.weight'):
        state[name] = np.ascontiguousarray(state[name].T)
    return state

  monkeypatch.setattr(rules, 'to_torch', wrong)
  words = ['export', '--talker', str(folder / 'talker'), '--out']
  assert main([*words, str(folder / 'new')]) == 1
  assert 'decoder.blocks.0.self_attention.out' in capsys.readouterr().err
  assert sorted(p.name for p in folder.iterdir()) == ['exported', 'talker']
  before = (folder / 'exported' / 'parity.json').read_bytes()
  assert main([*words, str(folder / 'exported')]) == 1
  assert (folder / 'exported' / 'parity.json').read_bytes() == before


@pytest.mark.parametrize(
  ('network', 'key'), [('expression', 'speech'), ('expression', 'expression'), ('motion', 'motion')]
)
def test_missing_statistics_fail_and_are_named(folder, capsys, network, key):
  def forget(value):
    del value['statistics'][network][key]

  _edit(folder / 'exported' / 'config.json', lambda c: forget(c['talker']))
  code, error = _check(folder, capsys)
  assert code == 1
  assert f'without the statistics {network}.{key}' in error
  _edit(folder / 'talker' / 'talker.json', forget)
  words = ['export', '--talker', str(folder / 'talker'), '--out', str(folder / 'new')]
  assert main(words) == 2
  assert f'without the statistics of {network}' in capsys.readouterr().err
  assert not (folder / 'new').exists()


def test_wrong_statistics_fail(folder, capsys):
  def shift(config):
    moments = config['talker']['statistics']['motion']['speech']
    moments['mean'] = [mean + 0.2 for mean in moments['mean']]

  _edit(folder / 'exported' / 'config.json', shift)
  code, error = _check(folder, capsys)
  assert code == 1
  assert 'config.json has another talker.statistics.motion.speech.mean' in error


@pytest.mark.parametrize('network', STAGES)
def test_a_talker_that_does_not_know_its_averages_is_refused(folder, capsys, network):
  _edit(folder / 'talker' / 'provenance.json', lambda p: p[network]['config'].pop('ema_decay'))
  words = ['export', '--talker', str(folder / 'talker'), '--out', str(folder / 'new')]
  assert main(words) == 2
  error = capsys.readouterr().err
  assert f'whether the weights of {network} are moving averages' in error
  assert not (folder / 'new').exists()


def test_weights_of_a_bfloat16_painter_are_compared_in_float32(folder, capsys):
  _edit(
    folder / 'talker' / 'talker.json', lambda t: t['models']['portrait'].update(dtype='bfloat16')
  )
  words = ['export', '--talker', str(folder / 'talker'), '--out', str(folder / 'new')]
  assert main(words) == 0, capsys.readouterr().err
