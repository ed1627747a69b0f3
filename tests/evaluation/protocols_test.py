import dataclasses
import json

import pytest
import tiny_records
import tiny_talker

from gmtalker_jax.cli.main import main
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.evaluation import protocols
from gmtalker_jax.evaluation.protocols import Protocol
from gmtalker_jax.inference import bundling


def _clip(subject, emotion, level, number):
  name = f'{subject}_front_{emotion}_{level}_{number:03d}'
  return {'id': name, 'subject': subject, 'view': 'front', 'emotion': emotion, 'level': level}


CLIPS = [
  _clip(who, emotion, level, n)
  for who in ('M003', 'W009', 'W021')
  for emotion, levels in (('neutral', (1,)), ('happy', (1, 2)))
  for level in levels
  for n in range(1, 31)
]


def test_the_official_split_of_mead_is_the_last_ten_and_six():
  chosen = protocols.read('mead').select('records', CLIPS)
  assert len(chosen) == 3 * (10 + 2 * 6)
  numbers = {(r['emotion'], r['level'], r['id'][-3:]) for r in chosen}
  assert ('neutral', 1, '021') in numbers
  assert ('neutral', 1, '020') not in numbers
  assert ('happy', 2, '025') in numbers
  assert ('happy', 2, '024') not in numbers


def test_the_four_people_are_those_of_the_field():
  chosen = protocols.read('mead_four').select('records', CLIPS)
  assert {r['subject'] for r in chosen} == {'M003', 'W009'}
  with pytest.raises(InputError, match='got records of W021, expected one of M003'):
    protocols.read('mead_four').select('records', [_clip('W021', 'happy', 1, 30)])


def test_listed_clips_are_all_or_none():
  listed = Protocol(clips={'records': [CLIPS[5]['id'], CLIPS[2]['id']]}, limit=1)
  assert listed.select('records', CLIPS) == [CLIPS[2], CLIPS[5]]
  with pytest.raises(InputError, match=r'without 1 of the 2 clips.*prepare them'):
    listed.select('records', CLIPS[:5])
  assert len(Protocol(limit=7).select('records', CLIPS)) == 7


def test_a_judge_with_other_weights_is_refused():
  agreed = Protocol(judges={'fer': 'aa'})
  agreed.check_judges({'fer': 'aa', 'lpips': 'bb'})
  with pytest.raises(InputError, match='judge fer with weights bb, expected aa'):
    agreed.check_judges({'fer': 'bb'})
  with pytest.raises(InputError, match='judge fer nowhere'):
    agreed.check_judges({})


@pytest.mark.parametrize(
  ('values', 'said'),
  [
    ({'clip': {}}, 'with clip, expected the fields'),
    ({'seeds': 0}, 'fields that cannot be'),
    ({'last': {'neutral': 10}}, 'fields that cannot be'),
    ({'clips': ['a']}, 'fields that cannot be'),
    ([], 'no {}'),
  ],
)
def test_a_file_that_is_no_protocol_is_refused(tmp_path, values, said):
  (tmp_path / 'p.json').write_text(json.dumps(values))
  with pytest.raises(InputError, match=said):
    protocols.read(str(tmp_path / 'p.json'))


def test_what_evaluate_wrote_measures_the_same_again_or_is_refused(tmp_path, capsys):
  bundling.save(tiny_talker.talker(), tmp_path / 'talker', {}, 'float32')
  records = tiny_records.write(tmp_path / 'records', tiny_talker.ENCODER)
  base = ['evaluate', '--talker', str(tmp_path / 'talker'), '--records', records]
  first, again = tmp_path / 'first.json', tmp_path / 'again.json'
  chosen = ['--metrics', 'mouth_lmd,motion_diversity_ratio']
  assert main([*base, *chosen, '--clips', '3', '--seeds', '2', '--out', str(first)]) == 0
  found = json.loads(first.read_text())
  assert len(found['protocol']['clips']['records']) == 3 == len(found['by_clip']['mouth_lmd'])
  agreed = tmp_path / 'protocol.json'
  agreed.write_text(json.dumps(found['protocol']))
  assert main([*base, *chosen, '--protocol', str(agreed), '--out', str(again)]) == 0
  assert json.loads(again.read_text()) == found
  assert protocols.read(str(agreed)).seeds == 2
  changed = dataclasses.asdict(protocols.read(str(agreed)))
  changed['clips']['records'].append('gone')
  agreed.write_text(json.dumps(changed))
  assert main([*base, *chosen, '--protocol', str(agreed), '--out', str(again)]) == 2
  assert 'without 1 of the 4 clips of the protocol (gone)' in capsys.readouterr().err
  assert main([*base, '--protocol', 'mead_for', '--out', str(again)]) == 2
  assert "did you mean 'mead_four'" in capsys.readouterr().err
