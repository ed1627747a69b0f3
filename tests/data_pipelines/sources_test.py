"""What names say about clips; nothing is opened."""

import pytest

from data_pipelines import sources
from gmtalker_jax.core.errors import InputError


def touch(folder, *paths):
  for path in paths:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).touch()


def test_mead_reads_names_and_finds_the_sound(tmp_path):
  touch(tmp_path, 'M003/video/front/angry/level_2/007.mp4', 'M003/audio/angry/level_2/007.m4a')
  touch(tmp_path, 'M003/video/left_30/neutral/level_1/001.mp4')
  clips, problems = sources.mead(tmp_path)
  assert not problems
  angry, neutral = clips
  assert angry.id == 'M003_front_angry_2_007'
  assert (angry.subject, angry.emotion, angry.level, angry.view) == ('M003', 'angry', 2, 'front')
  assert angry.audio_path.name == '007.m4a'
  assert neutral.audio_path is None
  assert neutral.view == 'left_30'


def test_mead_skips_the_number_that_some_people_have_before_the_view(tmp_path):
  touch(tmp_path, 'W021/video/1/front/happy/level_1/003.mp4')
  assert sources.mead(tmp_path)[0][0].id == 'W021_front_happy_1_003'


@pytest.mark.parametrize(
  ('path', 'code', 'hint'),
  [
    ('M003/video/front/disgust/level_1/001.mp4', 'bad_emotion', "'disgusted'"),
    ('M003/video/front/Angry/level_1/001.mp4', 'bad_emotion', "'angry'"),
    ('M003/video/front/angry/level_4/001.mp4', 'bad_level', "'level_"),
    ('M003/video/front/neutral/level_2/001.mp4', 'bad_level', "'level_1'"),
    ('M003/video/frnt/angry/level_1/001.mp4', 'bad_view', "'front'"),
    ('M003/angry/001.mp4', 'bad_path', 'ID/video/view'),
    ('M003/video/front/angry/level_1/one.mp4', 'bad_number', 'one'),
    ('003/video/front/angry/level_1/001.mp4', 'bad_subject', 'M###'),
  ],
)
def test_a_misspelt_name_is_a_problem_with_the_nearest_valid_name(tmp_path, path, code, hint):
  touch(tmp_path, path, 'M003/video/front/happy/level_1/001.mp4')
  clips, (problem,) = sources.mead(tmp_path)
  assert [clip.emotion for clip in clips] == ['happy']
  assert problem.code == code
  assert hint in problem.sentence
  assert problem.path == path


def test_mead_official_split_takes_the_last_sentences_of_each_level(tmp_path):
  touch(tmp_path, *(f'M003/video/front/sad/level_1/{i:03d}.mp4' for i in range(1, 31) if i != 12))
  touch(tmp_path, *(f'M003/video/front/neutral/level_1/{i:03d}.mp4' for i in range(1, 41)))
  clips, _ = sources.mead(tmp_path)
  test = {(c.emotion, int(c.video_path.stem)) for c in clips if c.split == 'test'}
  assert test == {('sad', i) for i in range(25, 31)} | {('neutral', i) for i in range(31, 41)}


def test_lrs3_splits_by_folder(tmp_path):
  touch(tmp_path, 'pretrain/abc/00001.mp4', 'trainval/abc/00001.mp4', 'test/xyz/00002.mp4')
  touch(tmp_path, 'pretrian/abc/00009.mp4')
  clips, (problem,) = sources.lrs3(tmp_path)
  assert {c.id: c.split for c in clips} == {
    'pretrain_abc_00001': 'train', 'trainval_abc_00001': 'train', 'test_xyz_00002': 'test',
  }  # fmt: skip
  assert {c.emotion for c in clips} == {''}
  assert "'pretrain'" in problem.sentence


def test_folder_names_people_by_folder_and_survives_odd_names(tmp_path):
  touch(tmp_path, 'ann/a b;$(x).MP4', 'ann/a b;$(x).wav', 'ann/.hidden.mp4', 'ann/notes.txt')
  (clip,), _ = sources.folder(tmp_path)
  assert clip.subject == 'ann'
  assert clip.id == 'ann_a_b_x_'
  assert clip.audio_path.suffix == '.wav'


def test_links_are_followed_but_not_in_circles(tmp_path):
  touch(tmp_path, 'elsewhere/a.mp4', 'src/b/c.mp4')
  (tmp_path / 'src/ann').symlink_to(tmp_path / 'elsewhere')
  (tmp_path / 'src/b/loop').symlink_to(tmp_path / 'src')
  clips, _ = sources.folder(tmp_path / 'src')
  assert sorted(c.id for c in clips) == ['ann_a', 'b_c']


def test_folder_split_is_stable_and_about_a_tenth(tmp_path):
  touch(tmp_path, *(f's/{i}.mp4' for i in range(300)))
  clips, _ = sources.folder(tmp_path)
  assert 15 < sum(c.split == 'test' for c in clips) < 50
  (tmp_path / 's/0.mp4').unlink()
  fewer = {c.id: c.split for c in sources.folder(tmp_path)[0]}
  assert fewer == {c.id: c.split for c in clips if c.id in fewer}


def test_balanced_splits_never_leaves_a_split_empty(tmp_path):
  touch(tmp_path, *(f'M003/video/front/sad/level_1/{i:03d}.mp4' for i in range(1, 5)))
  clips, _ = sources.mead(tmp_path)
  assert {c.split for c in clips} == {'test'}  # the last six are all there are
  clips, note = sources.balanced_splits(clips)
  assert sorted(c.split for c in clips) == ['test', 'train', 'train', 'train']
  assert "left 'train' empty" in note
  assert sources.balanced_splits(clips) == (clips, '')
  alone, note = sources.balanced_splits([clips[0]._replace(split='test')])
  assert alone[0].split == 'train'
  assert 'only clip' in note


@pytest.mark.parametrize('kind', sources.KINDS)
def test_a_folder_without_clips_is_refused(tmp_path, kind):
  with pytest.raises(InputError, match='without'):
    sources.KINDS[kind](tmp_path)
  with pytest.raises(InputError, match='expected a folder'):
    sources.KINDS[kind](tmp_path / 'missing')


def test_procedural_wants_the_truth_beside_each_clip(tmp_path):
  touch(tmp_path, 'mead/M001/video/front/sad/level_1/001.mp4')
  touch(tmp_path, 'mead/M001/video/front/sad/level_1/001.npz')
  touch(tmp_path, 'mead/M001/video/front/sad/level_1/002.mp4', 'lrs3/test/M901/00001.mp4')
  clips, problems = sources.procedural(tmp_path)
  assert [c.id for c in clips] == ['M001_front_sad_1_001']
  assert clips[0].dataset == 'procedural'
  assert {p.code for p in problems} == {'no_truth'}
  assert sources.procedural(tmp_path / 'mead')[0] == clips
