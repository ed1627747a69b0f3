"""Fault 22: hostile files. Nothing of them is run, memory is bounded, the answer is one line."""

import ast
import contextlib
import io
import json
import os
import pickle
import random
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path

import cv2
import made_up_faces
import numpy as np
import pytest
from safetensors.numpy import save

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.export.gmtalker_torch import media as twin_media
from gmtalker_jax.io import audio, bundles, heads, mat_files, people, perceptual, torch_files
from gmtalker_jax.io import bfm as bfm_files
from gmtalker_jax.io import faceverse as faceverse_files
from gmtalker_jax.io import gnm as gnm_files
from gmtalker_jax.io import hubert as hubert_weights

torch = pytest.importorskip('torch')
sio = pytest.importorskip('scipy.io')
ROOT = Path(__file__).parents[2]
MOST = 64_000_000  # bytes that reading a small file may take for a moment

_watched: list[str] | None = None  # events, while a file is read


def _watch(event: str, arguments: tuple) -> None:
  if _watched is None:
    return
  started = ('os.system', 'os.exec', 'os.posix_spawn', 'os.fork', 'subprocess.Popen', 'pty.spawn')
  touched = ('os.remove', 'os.rename', 'os.mkdir', 'shutil.', 'socket.connect', 'ctypes.dlopen')
  written = event == 'exec' and not os.path.isfile(arguments[0].co_filename)  # else: an import
  if event.startswith((*started, *touched)) or written:
    _watched.append(event)


sys.addaudithook(_watch)


# One small whole file for each reader.


def _tensors() -> bytes:
  return save({'a': np.arange(6, dtype=np.float32), 'b': np.ones((2, 3), np.float16)})


def _torch_file() -> bytes:
  out = io.BytesIO()
  torch.manual_seed(0)
  torch.save({'g': {'w': torch.randn(3, 4), 'b': torch.arange(3)}, 'step': 7}, out)
  return out.getvalue()


def _head() -> bytes:
  """Eight vertices of skin, four of each eye."""
  numbers, out = np.random.default_rng(0), io.BytesIO()
  triangles = np.array(
    [[0, 1, 2], [3, 4, 5], [5, 6, 7], [8, 9, 10], [9, 10, 11], [12, 13, 14], [13, 14, 15]]
  )
  np.savez_compressed(
    out,
    mean=numbers.normal(size=(16, 3)).astype(np.float32),
    identity=numbers.normal(size=(2, 16, 3)).astype(np.float32),
    expression=numbers.normal(size=(52, 16, 3)).astype(np.float16),
    triangles=triangles.astype(np.int32),
    triangle_group=np.array([0, 0, 0, 1, 1, 2, 2], np.int8),
    uv=np.zeros((16, 2), np.float32),
    albedo=np.ones((16, 3), np.float32),
    eye_centre=np.zeros((2, 3), np.float32),
    landmark_triangle=np.zeros(478, np.int32),
    landmark_barycentric=np.ones((478, 3), np.float32),
    blendshapes=np.array(schema.BLENDSHAPES),
  )
  return out.getvalue()


def _mat() -> bytes:
  out = io.BytesIO()
  sio.savemat(out, {'coeff': np.arange(12.0).reshape(3, 4), 'tri': np.ones((2, 3), np.int32)})
  return out.getvalue()


def _packed_mat() -> bytes:
  out = io.BytesIO()
  sio.savemat(out, {'coeff': np.arange(12.0).reshape(3, 4)}, do_compression=True)
  return out.getvalue()


def _bfm() -> bytes:
  out = io.BytesIO()
  sio.savemat(out, made_up_faces.bfm((3, 4)))
  return out.getvalue()


def _faceverse() -> bytes:
  out = io.BytesIO()
  np.save(out, np.array(made_up_faces.faceverse((3, 4))))
  return out.getvalue()


def _gnm() -> bytes:
  return _npz(**made_up_faces.gnm((3, 4)))


def _lpips() -> bytes:
  layer = {'kernel': np.ones((3, 3, 3, 4), np.float32), 'bias': np.ones(4, np.float32)}
  return pickle.dumps({'VGG16_0': {'Conv_0': layer}}, 4)


def _wav() -> bytes:
  samples = (1000 * np.sin(np.arange(800) / 5)).astype('<i2').tobytes()
  head = struct.pack('<4sI4s4sIHHIIHH4sI', b'RIFF', 36 + len(samples), b'WAVE', b'fmt ', 16, 1, 1,
                     16000, 32000, 2, 16, b'data', len(samples))  # fmt: skip
  return head + samples


def _person() -> bytes:
  texture = cv2.imencode('.png', np.full((8, 8, 3), 90, np.uint8))[1].tobytes()
  import base64

  person = {
    'identity': [0.0] * 4,
    'light': [1.0] * 9,
    'texture': base64.b64encode(texture).decode(),
  }
  return json.dumps(person).encode()


def _read_person(path: Path):
  try:
    values = json.loads(path.read_bytes())
  except (ValueError, RecursionError):
    raise InputError('no JSON') from None
  return people.from_json(values if isinstance(values, dict) else {})


def _read_lpips(path: Path):
  return perceptual._read(path, 'VGG16_0', lambda weights: None)


READERS = {
  'safetensors': (_tensors, bundles.read_tensors),
  'torch': (_torch_file, torch_files.read),
  'hubert.bin': (_torch_file, hubert_weights.load),
  'head.npz': (_head, lambda path: heads.load_head(str(path))),
  'mat': (_mat, mat_files.read),
  'packed.mat': (_packed_mat, mat_files.read),
  'BFM_model_front.mat': (_bfm, bfm_files.load),
  'faceverse.npy': (_faceverse, faceverse_files.load),
  'gnm_head.npz': (_gnm, gnm_files.load),
  'lpips.ckpt': (_lpips, _read_lpips),
  'wav': (_wav, audio.read),
  'wav of the twin': (_wav, twin_media.read_wav),
  'person.json': (_person, _read_person),
}
# What a reader may answer with: the twin, which has no errors of its own, says ValueError.
REFUSALS = {'wav of the twin': (ValueError,)}


def answer(name: str, path: Path) -> str:
  """What a reader says of a file: '' if it reads it. Fails if it runs anything, or is no line."""
  global _watched
  _watched = []
  try:
    READERS[name][1](path)
    said = ''
  except REFUSALS.get(name, (InputError,)) as error:
    said = str(error) or type(error).__name__
  finally:
    events, _watched = _watched, None
  assert not events, (name, events)
  assert '\n' not in said, (name, said)
  return said


@pytest.fixture(scope='module', autouse=True)
def _imported(tmp_path_factory):
  """Whatever a reader imports when it is first used, which is code that is run, is there."""
  path = tmp_path_factory.mktemp('whole') / 'f'
  for name, (whole, read) in READERS.items():
    path.write_bytes(whole())
    with contextlib.suppress(*REFUSALS.get(name, (InputError,))):
      read(path)


@pytest.mark.parametrize('name', READERS)
def test_the_whole_file_is_read(name, tmp_path):
  path = tmp_path / 'f'
  path.write_bytes(READERS[name][0]())
  if name not in ('hubert.bin', 'lpips.ckpt'):  # whole files of other networks
    assert answer(name, path) == ''


class Evil:
  def __reduce__(self):
    return os.system, ('touch was_here',)


def _bomb(entry: str) -> bytes:
  out = io.BytesIO()
  with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
      header, {'descr': '<f4', 'fortran_order': False, 'shape': (250_000_000,)}
    )
    archive.writestr(entry, header.getvalue() + bytes(300_000_000))
  return out.getvalue()


def _npz(**arrays) -> bytes:
  out = io.BytesIO()
  np.savez(out, **arrays)
  return out.getvalue()


def _claims(shape: str) -> bytes:
  """A safetensors file whose header promises what is not there."""
  header = json.dumps({'a': {'dtype': 'F32', 'shape': json.loads(shape), 'data_offsets': [0, 8]}})
  return struct.pack('<Q', len(header)) + header.encode() + bytes(8)


def _escaping() -> bytes:
  out = io.BytesIO()
  with zipfile.ZipFile(out, 'w') as archive:
    archive.writestr('../../was_here', b'x')
    archive.writestr('f/../data.pkl', b'\x80\x02N.')
  return out.getvalue()


def _many_channels(data: bytes) -> bytes:
  return data[:22] + b'\xc8\0' + data[24:32] + b'\x90\x01' + data[34:]


HOSTILE = {
  'empty': lambda: b'',
  'pickle that runs': lambda: pickle.dumps({'w': Evil()}),
  'pickle with a table of 64 GB': lambda: b'\x80\x02Kar\xff\xff\xff\xff.',
  'pickle of a terabyte': lambda: b'\x80\x04\x8e' + (1 << 40).to_bytes(8, 'little') + b'x.',
  'npz with objects': lambda: _npz(mean=np.array([Evil()], object)),
  'zip bomb (npz)': lambda: _bomb('mean.npy'),
  'zip bomb (torch)': lambda: _bomb('f/data.pkl'),
  'zip that escapes': _escaping,
  'safetensors, header of 2^62': lambda: struct.pack('<Q', 1 << 62) + b'{}',
  'safetensors, 2^50 numbers': lambda: _claims(f'[{1 << 50}]'),
  'wav of 4 GB': lambda: _wav()[:40] + b'\xff\xff\xff\xff',
  'wav of 200 channels': lambda: (
    _wav()[:22] + b'\xc8\0' + _wav()[24:32] + b'\x90\x01' + _wav()[34:]
  ),
  'picture of 2^31 pixels': lambda: (
    b'\x89PNG\r\n\x1a\n' + b'\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff'
  ),
  'deep JSON': lambda: b'[' * 200_000,
}


@pytest.mark.parametrize('kind', HOSTILE)
def test_a_hostile_file_is_one_line_in_every_reader(kind, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  path = tmp_path / 'a b;$(touch was_here)`touch was_here`.npz'
  path.write_bytes(HOSTILE[kind]())
  for name in READERS:
    tracemalloc.start()
    said = answer(name, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A pickle of one number, and a folder of nothing, are whole files that hold no weights.
    whole = {'torch', 'lpips.ckpt', 'person.json'}
    if kind == 'wav of 200 channels':  # which Python's own reader takes
      whole.add('wav of the twin')
    assert said or name in whole, (name, kind)
    assert peak < MOST, (name, kind, peak)
  assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
  assert not (tmp_path.parent / 'was_here').exists()


def test_the_watch_sees_what_it_is_for(tmp_path, monkeypatch):
  """Python's own reader does run the file."""
  monkeypatch.chdir(tmp_path)
  path = tmp_path / 'f'
  path.write_bytes(pickle.dumps(Evil()))
  monkeypatch.setitem(READERS, 'own', (_lpips, lambda p: pickle.loads(p.read_bytes())))
  with pytest.raises(AssertionError, match=r'os\.system'):
    answer('own', path)
  assert (tmp_path / 'was_here').exists()


def mutated(data: bytes, chance: random.Random) -> bytes:
  """`data` with a few bits, bytes or stretches changed."""
  out = bytearray(data)
  for _ in range(chance.randint(1, 3)):
    at = chance.randrange(len(out) + 1)
    length = min(chance.choice((1, 4, 8, 64)), len(out) - at)
    match chance.randrange(6):
      case 0 if at < len(out):
        out[at] ^= 1 << chance.randrange(8)
      case 1:
        out[at : at + length] = chance.randbytes(length)
      case 2:
        out[at : at + length] = chance.choice((b'\0', b'\xff', b'\x7f', b'9')) * length
      case 3:
        del out[at : at + length]
      case 4:
        out[at:at] = out[at : at + length]
      case _:
        del out[at:]
    if not out:
      return bytes(out)
  return bytes(out)


def _mutate(name: str, folder: Path, count: int) -> None:
  data, path = READERS[name][0](), folder / 'f'
  refused = 0
  for seed in range(count):
    path.write_bytes(mutated(data, random.Random(seed)))
    try:
      refused += bool(answer(name, path))
    except Exception as error:
      raise AssertionError(f'{name}, seed {seed}: {type(error).__name__}: {error}') from error
  assert refused > count / 20  # the changes do hurt


@pytest.mark.parametrize('name', READERS)
def test_mutated_files_are_read_or_refused_with_one_line(name, tmp_path):
  _mutate(name, tmp_path, 300)


@pytest.mark.prove
@pytest.mark.parametrize('name', READERS)
def test_a_hundred_thousand_mutated_files(name, tmp_path):
  _mutate(name, tmp_path, 100_000 // len(READERS) + 1)


def test_a_name_is_only_a_name(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  path = tmp_path / '; touch was_here; $(touch was_here) -i x.wav'
  path.write_bytes(_wav())
  assert len(audio.read(path)) == 800
  assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_no_line_of_the_package_asks_a_shell_or_runs_a_pickle():
  """By its syntax: no os.system, no shell=True, no eval or exec, no pickle.load, no torch.load."""
  wrong = {
    ('os', 'system'),
    ('os', 'popen'),
    ('pickle', 'load'),
    ('pickle', 'loads'),
    ('torch', 'load'),
  }
  for path in [
    p for room in ('gmtalker_jax', 'data_pipelines') for p in (ROOT / room).rglob('*.py')
  ]:
    for node in ast.walk(ast.parse(path.read_text())):
      if not isinstance(node, ast.Call):
        continue
      match node.func:
        case ast.Name(id='eval' | 'exec'):
          pytest.fail(f'{path}:{node.lineno}')
        case ast.Attribute(value=ast.Name(id=module), attr=name):
          assert (module, name) not in wrong, f'{path}:{node.lineno}'
      for keyword in node.keywords:
        risky = keyword.arg in ('shell', 'allow_pickle') and getattr(keyword.value, 'value', True)
        assert not risky, f'{path}:{node.lineno}'
