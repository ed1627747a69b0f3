import errno
import subprocess
import sys

import numpy as np
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import files


def test_a_file_is_replaced_at_the_end_and_nothing_else_is_left(tmp_path):
  path = tmp_path / 'new' / 'a.txt'
  files.write_text(path, 'old')
  with files.replacing(path) as part:
    part.write_text('néw')
    assert path.read_text() == 'old'
  assert path.read_text(encoding='utf-8') == 'néw'
  assert list(path.parent.iterdir()) == [path]


def test_after_an_error_the_older_file_or_folder_stays(tmp_path):
  files.write_text(tmp_path / 'a.txt', 'old')
  (tmp_path / 'b').mkdir()
  files.write_text(tmp_path / 'b' / 'c', 'old')
  with pytest.raises(AttributeError), files.replacing(tmp_path / 'a.txt') as part:
    part.write_text('half').fails()
  with pytest.raises(AttributeError), files.replacing_folder(tmp_path / 'b') as work:
    (work / 'c').write_text('half').fails()
  assert (tmp_path / 'a.txt').read_text() == (tmp_path / 'b' / 'c').read_text() == 'old'
  assert sorted(p.name for p in tmp_path.iterdir()) == ['a.txt', 'b']


def test_a_folder_is_replaced_at_the_end(tmp_path):
  target = tmp_path / 'deep' / 'folder'
  for content in ('one', 'two'):
    with files.replacing_folder(target) as work:
      (work / content).write_text(content)
  assert [p.name for p in target.iterdir()] == ['two']
  assert list(target.parent.iterdir()) == [target]
  assert target.stat().st_mode & 0o777 == 0o755


def test_a_link_to_a_folder_is_replaced_and_what_it_points_to_stays(tmp_path):
  (tmp_path / 'far').mkdir()
  (tmp_path / 'far' / 'mine').write_text('')
  (tmp_path / 'link').symlink_to(tmp_path / 'far')
  with files.replacing_folder(tmp_path / 'link'):
    pass
  assert not (tmp_path / 'link').is_symlink()
  assert (tmp_path / 'far' / 'mine').exists()


KILLED = """
import os, sys
from pathlib import Path
from gmtalker_jax.io import files
at = Path(sys.argv[1])
with files.replacing(at / 'file') as part, files.replacing_folder(at / 'b') as b:
  part.write_text('half')
  (b / 'deep').mkdir()
  (b / 'deep' / 'half').write_text('half')
  os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_is_used_up(tmp_path):
  assert subprocess.run([sys.executable, '-c', KILLED, str(tmp_path)], check=False).returncode == -9
  assert len(list(tmp_path.iterdir())) == 2
  with files.replacing(tmp_path / 'file') as part:
    assert part.read_bytes() == b''
    part.write_text('whole')
  with files.replacing_folder(tmp_path / 'b') as work:
    assert not list(work.iterdir())
    (work / 'c').write_text('whole')
  assert sorted(p.name for p in tmp_path.rglob('*')) == ['b', 'c', 'file']


def test_two_who_write_one_place_at_once_do_not_meet(tmp_path):
  with files.replacing_folder(tmp_path / 'a') as one, files.replacing(tmp_path / 'b') as mine:
    (one / 'one').touch()
    mine.write_text('mine')
    with files.replacing_folder(tmp_path / 'a') as two, files.replacing(tmp_path / 'b') as yours:
      (two / 'two').touch()
      yours.write_text('yours')
    assert [p.name for p in (tmp_path / 'a').iterdir()] == ['two']
    assert [p.name for p in one.iterdir()] == ['one']
    assert mine.read_text() == 'mine'
  assert sorted(p.name for p in tmp_path.rglob('*')) == ['a', 'b', 'one']
  assert (tmp_path / 'b').read_text() == 'mine'


@pytest.mark.parametrize('replacing', [files.replacing, files.replacing_folder])
def test_a_full_disk_is_one_line(tmp_path, replacing):
  line = r"^cannot write '.*out': No space left on device; [^\n]*$"
  with pytest.raises(InputError, match=line), replacing(tmp_path / 'out'):
    raise OSError(errno.ENOSPC, 'No space left on device')
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('replacing', [files.replacing, files.replacing_folder])
@pytest.mark.parametrize('name', ['file/out', 'n' * 255])
def test_a_place_that_cannot_be_is_refused_before_the_work(tmp_path, replacing, name):
  (tmp_path / 'file').write_text('')
  worked = []
  with pytest.raises(InputError, match='cannot write'), replacing(tmp_path / name):
    worked.append(name)
  assert not worked


def test_a_place_is_checked_without_touching_it(tmp_path):
  files.check_place(tmp_path / 'a')
  (tmp_path / 'a').mkdir()
  for place in ('a', 'b/c'):
    with pytest.raises(InputError, match='cannot write'):
      files.check_place(tmp_path / place)
  assert [p.name for p in tmp_path.iterdir()] == ['a']


@pytest.mark.parametrize('text', [None, b'', b'{"a": ', b'\xff\xfe'])
def test_json_that_cannot_be_read_is_one_line(tmp_path, text):
  if text is not None:
    (tmp_path / 'a.json').write_bytes(text)
  with pytest.raises(InputError, match=r"^cannot read '.*a\.json' \([^\n]*$"):
    files.read_json(tmp_path / 'a.json')


def test_json_and_arrays_come_back(tmp_path):
  files.write_json(tmp_path / 'a.json', {'name': 'Jörg', 'points': np.eye(2)})
  assert files.read_json(tmp_path / 'a.json') == {'name': 'Jörg', 'points': [[1, 0], [0, 1]]}
  assert 'Jörg'.encode() in (tmp_path / 'a.json').read_bytes()  # for people to read
  files.write_arrays(tmp_path / 'b', {'x': np.arange(3)})  # no suffix is added
  np.testing.assert_array_equal(np.load(tmp_path / 'b')['x'], np.arange(3))
