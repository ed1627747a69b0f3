import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from data_pipelines.procedural import corpus, sentences
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.io import audio, video

PLAN = {
  'people': 2, 'sentences': 3, 'size': 64, 'seed': 4, 'portrait_sentences': 2,
  'test_sentences': 1, 'video_size': 32, 'stage_people': 2, 'stage_clips': 4,
}  # fmt: skip
TINY = PLAN | {
  'people': 1, 'sentences': 0, 'size': 32, 'portrait_sentences': 0, 'test_sentences': 0,
  'stage_people': 1, 'stage_clips': 2,
}  # fmt: skip


def test_plan_has_the_shape_of_mead():
  clips = [c for c in corpus.plan(**PLAN) if c.path.startswith('mead/')]
  assert {c.emotion for c in clips} == set(schema.EMOTIONS)
  assert {c.level for c in clips if c.emotion == 'neutral'} == {1}
  assert {c.level for c in clips if c.emotion == 'sad'} == {1, 2, 3}
  star, other = (
    [c for c in clips if c.person.name.endswith(n) and c.emotion == 'fear' and c.level == 2]
    for n in ('001', '002')
  )
  assert [c.split for c in star] == ['train'] * 5 + ['test']
  assert [c.split for c in other] == ['train'] * 3 + ['test']
  assert {c.size for c in star} == {64}
  assert {c.size for c in other} == {32}
  assert star[-1].path == f'mead/{star[0].person.name}/video/front/fear/level_2/006'


def test_test_sentences_are_never_trained_on():
  clips = corpus.plan(**PLAN)
  train, test = set(sentences.split('train')), set(sentences.split('test'))
  for clip in clips:
    if clip.path.startswith('mead/'):
      assert clip.text in (test if clip.split == 'test' else train)
  assert {c.path.split('/')[1] for c in clips if c.split == 'test'} >= {'test'}
  assert all(c.split == 'test' for c in clips if c.path.startswith('lrs3/test'))


def test_no_two_people_share_a_name():
  names = {}
  for clip in corpus.plan(**PLAN):
    assert names.setdefault(clip.person.name, clip.person.seed) == clip.person.seed
  assert len(names) == 4


def test_plan_follows_the_seed():
  texts = lambda **changes: [c.text for c in corpus.plan(**(PLAN | changes))]  # noqa: E731
  assert texts() == texts()
  assert texts() != texts(seed=5)


def layers(truth: Path) -> dict[str, str]:
  """Digests of a clip, inside out: the first that differs names the stage at fault."""
  film = truth.with_suffix('.mp4')
  with np.load(truth, allow_pickle=False) as file:
    parts = {name: file[name].tobytes() for name in file.files}
  pictures = b''.join(frame.tobytes() for frame in video.stream(film))
  parts |= {'sound': audio.read(film).tobytes(), 'pictures': pictures}
  parts |= {'truth file': truth.read_bytes(), 'film': film.read_bytes()}
  return {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}


@pytest.fixture(scope='module')
def built(tmp_path_factory):
  out = tmp_path_factory.mktemp('corpus') / 'made'
  corpus.build(out, **TINY, progress=False)
  return out


def test_clips_and_truth_agree(built):
  films = sorted(built.rglob('*.mp4'))
  assert len(films) == 2
  for film in films:
    with np.load(film.with_suffix('.npz'), allow_pickle=False) as file:
      truth = dict(file)
    frames = np.stack(list(video.stream(film)))
    wave = audio.read(film)
    assert frames.shape[1:] == (32, 32, 3)
    assert len(frames) == len(truth['expression']) == schema.frame_count(len(wave))
    assert truth['motion'].shape == (len(frames), 12)
    assert truth['phoneme_end'][-1] <= len(wave) / 16000 + 0.01
    assert str(truth['emotion']) in schema.EMOTIONS
    assert film.with_suffix('.txt').read_text().upper().startswith('TEXT:')
  summary = json.loads((built / 'corpus.json').read_text())
  assert summary['complete']
  assert summary['licence'] == 'CC0-1.0'
  assert summary['clips']['lrs3'] == {'train': 2, 'test': 0}
  assert not [p for p in built.rglob('*') if p.name.endswith('.part')]


def test_a_second_run_keeps_what_is_finished_and_remakes_the_rest_the_same(built):
  keep, remake = sorted(built.rglob('*.npz'))
  stamp, before = keep.stat().st_mtime_ns, layers(remake)
  remake.unlink()
  corpus.build(built, **TINY, progress=False)
  assert keep.stat().st_mtime_ns == stamp
  assert layers(remake) == before


def test_other_folders_are_left_alone(built, tmp_path):
  with pytest.raises(InputError, match='other parameters'):
    corpus.build(built, **(TINY | {'seed': 9}), progress=False)
  (tmp_path / 'letter.txt').write_text('dear')
  with pytest.raises(InputError, match='not a corpus'):
    corpus.build(tmp_path, **TINY, progress=False)
  with pytest.raises(InputError, match='people'):
    corpus.build(tmp_path / 'new', **(TINY | {'people': 0}), progress=False)
  assert not (tmp_path / 'new').exists()
