"""What the pages point at exists: cited sections, named functions and tests, relative links."""

import ast
import fnmatch
import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path

from configs import base

ROOT = Path(__file__).parents[1]
IGNORED = [line.strip('/') for line in (ROOT / '.gitignore').read_text().split()] + ['.git']

# "method 2.4, 2.5", "section 8": each number. A size after a list of sections needs a semicolon.
CITATION = re.compile(r'\b(?:method|section)s?\s+(\d+(?:\.\d+)?(?:,\s+\d+(?:\.\d+)?)*)', re.I)
# A heading "## 2.4 Losses", or a row "| 6.9 | ..." of a table.
SECTION = re.compile(r'^(?:#+ |\| )(\d+(?:\.\d+)?)\b', re.M)
# `folder/file.py`, `folder/file.py:name`, `tests/file_test.py::test_name`
REFERENCE = re.compile(r'((?:\w+/)*\w+\.py)\b(?:::?([A-Za-z_]\w*(?:\.\w+)*))?')
LINK = re.compile(r'\[[^\]]*\]\(([^)\s#]*)[^)]*\)')


def test_every_cited_section_of_the_method_exists():
  sections = set(SECTION.findall((ROOT / 'docs' / 'method.md').read_text()))
  cited = [
    (str(path.relative_to(ROOT)), number)
    for path in _files('.py', '.md')
    for numbers in CITATION.findall(path.read_text())
    for number in re.split(r',\s+', numbers)
  ]
  assert cited
  assert not [(path, number) for path, number in cited if number not in sections]


def test_every_function_and_test_that_a_page_names_exists():
  named = [
    (page.name, path, name)
    for page in (ROOT / 'docs').glob('*.md')
    for path, name in REFERENCE.findall(page.read_text())
  ]
  assert named
  assert not [(page, f'{path}:{name}') for page, path, name in named if name not in _names(path)]


def test_every_relative_link_leads_somewhere():
  links = [
    (page, target)
    for page in _files('.md')
    for target in LINK.findall(page.read_text())
    if target and ':' not in target
  ]
  assert links
  assert not [(str(page), to) for page, to in links if not (page.parent / to).exists()]


def _files(*suffixes: str) -> Iterator[Path]:
  """The files of the repository, without what git ignores."""
  for folder, inner, names in os.walk(ROOT):
    inner[:] = [n for n in inner if not any(fnmatch.fnmatch(n, p) for p in IGNORED)]
    yield from (Path(folder, n) for n in names if n.endswith(suffixes))


@functools.cache
def _names(path: str) -> set[str]:
  """What a file defines: `name`, `Class.name`, and '' for the file itself; nothing if missing."""
  if not (ROOT / path).is_file():
    return set()
  variants = base.VARIANTS if path.startswith('configs/') else ()
  return {'', *variants, *_defined(ast.parse((ROOT / path).read_text()).body)}


def _defined(body: list[ast.stmt]) -> Iterator[str]:
  for node in body:
    match node:
      case ast.FunctionDef(name=name):
        yield name
      case ast.ClassDef(name=name, body=inner):
        yield name
        yield from (f'{name}.{own}' for own in _defined(inner))
      case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
        yield name
