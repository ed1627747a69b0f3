"""HuBERT beside that of `transformers` in PyTorch, with random weights; pieces; what is refused."""

import numpy as np
import pytest

from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import hubert as weights
from gmtalker_jax.models.hubert import HOP, REACH
from gmtalker_jax.speech import hubert
from gmtalker_jax.speech.encoder import row_count

torch = pytest.importorskip('torch')
transformers = pytest.importorskip('transformers')

SMALL = {
  'hidden_size': 128, 'num_hidden_layers': 2, 'num_attention_heads': 2, 'intermediate_size': 96,
  'conv_dim': [32] * 7, 'num_conv_pos_embeddings': 32, 'num_conv_pos_embedding_groups': 4,
}  # fmt: skip
LARGE = {'feat_extract_norm': 'layer', 'do_stable_layer_norm': True, 'conv_bias': True}
FULL = {
  'base': {},
  'large': LARGE | {'hidden_size': 1024, 'num_hidden_layers': 24, 'num_attention_heads': 16,
                    'intermediate_size': 4096},
}  # fmt: skip


def reference(options):
  torch.manual_seed(0)
  network = transformers.HubertModel(transformers.HubertConfig(**options)).eval()
  with torch.no_grad():  # biases and norms that do something
    for name, value in network.named_parameters():
      if value.ndim == 1:
        value += 0.1 * torch.randn(value.shape)
      assert name
  return network


def save(network, path):
  if path.suffix == '.safetensors':
    from safetensors.torch import save_file

    save_file({f'hubert.{k}': v for k, v in network.state_dict().items()}, path)
  else:
    torch.save(network.state_dict(), path)
  return path


def sound(rows, seed=0):
  wave = np.random.default_rng(seed).normal(size=rows * HOP - 100).astype(np.float32)
  return wave * np.linspace(0.05, 0.4, len(wave), dtype=np.float32)


def expected(network, wave):
  """Of the padded sound, brought to mean 0 and variance 1, all at once."""
  level = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
  padded = np.zeros((row_count(len(wave)) - 1) * HOP + REACH, np.float32)
  padded[: len(wave)] = level
  with torch.inference_mode():
    return network(torch.from_numpy(padded)[None]).last_hidden_state[0].numpy()


def error(made, wanted):
  return np.abs(made - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize('suffix', ['.safetensors', '.bin'])
@pytest.mark.parametrize('layout', ['base', 'large'])
def test_it_computes_what_pytorch_computes(layout, suffix, tmp_path):
  network = reference(SMALL | (LARGE if layout == 'large' else {}))
  module, params = weights.load(save(network, tmp_path / f'w{suffix}'))
  assert module.large == (layout == 'large')
  wave = sound(60)
  made = hubert.encode(wave, module, params)
  assert made.shape == (60, 128)
  assert error(made, expected(network, wave)) < 1e-4


@pytest.mark.parametrize('layout', ['base', 'large'])
def test_long_sound_in_pieces_has_no_seams(layout, tmp_path, monkeypatch):
  network = reference(SMALL | (LARGE if layout == 'large' else {}))
  module, params = weights.load(save(network, tmp_path / 'w.bin'))
  wave = sound(300)
  wanted = expected(network, wave)
  monkeypatch.setattr('gmtalker_jax.models.hubert._SCORES', 5_000)  # attention in pieces too
  hubert._compiled.cache_clear()
  made = hubert.encode(wave, module, params, rows_at_once=64)
  hubert._compiled.cache_clear()
  assert error(made, wanted) < 1e-4
  seams = np.arange(64, 300, 64)
  np.testing.assert_allclose(
    np.diff(made, axis=0)[seams - 1], np.diff(wanted, axis=0)[seams - 1], atol=1e-4
  )


def test_it_is_an_encoder_like_the_others(tmp_path, monkeypatch):
  monkeypatch.setenv('GMTALKER_CARRIERS', str(tmp_path))
  assert speech.dimension('logmel+hubert-large') == 80 + 1024
  with pytest.raises(InputError, match=r'hubert-base.*without its weights') as caught:
    speech.encode(sound(10), 'hubert-base')
  assert '\n' not in str(caught.value)
  options = SMALL | {'hidden_size': 768, 'num_hidden_layers': 1, 'num_attention_heads': 12}
  network = reference(options)
  save(network, tmp_path / 'hubert-base.bin')
  try:
    opened = speech.open('causal:logmel+hubert-base')
    rows = opened.encode(sound(11))
    assert rows.shape == (12, 80 + 768)
    assert opened.look_ahead_ms == np.inf
    assert speech.open(opened.identity).digest() == opened.digest()
    save(network, tmp_path / 'hubert-large.bin')
    with pytest.raises(InputError, match='of 768 values a row, expected 1024'):
      speech.encode(sound(10), 'hubert-large')
  finally:
    hubert._loaded.cache_clear()
    hubert._digest.cache_clear()


@pytest.mark.parametrize(
  ('change', 'match'),
  [
    (lambda s: s.pop('encoder.layers.1.final_layer_norm.bias'), 'blocks_1/feed_norm/bias'),
    (lambda s: s.update({'encoder.layers.0.extra.weight': torch.zeros(2)}), 'not those of HuBERT'),
    (lambda s: s.update({'encoder.layer_norm.bias': torch.zeros(3)}), 'norm/bias'),
    (lambda s: s.update({'encoder.layer_norm.bias': torch.full((128,), torch.nan)}), 'not finite'),
    (lambda s: s.clear(), 'not those of HuBERT'),
  ],
)
def test_other_weights_are_refused_with_one_line(change, match, tmp_path):
  state = reference(SMALL).state_dict()
  change(state)
  torch.save(state, tmp_path / 'w.pt')
  with pytest.raises(InputError, match=match) as caught:
    weights.load(tmp_path / 'w.pt')
  assert '\n' not in str(caught.value)


@pytest.mark.prove
@pytest.mark.parametrize('layout', FULL)
def test_the_published_sizes_compute_what_pytorch_computes(layout, tmp_path):
  network = reference(FULL[layout])
  module, params = weights.load(save(network, tmp_path / 'w.safetensors'))
  assert (module.width, module.depth) == {'base': (768, 12), 'large': (1024, 24)}[layout]
  wave = sound(700)
  assert error(hubert.encode(wave, module, params, 256), expected(network, wave)) < 1e-4
