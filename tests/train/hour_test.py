"""An hour of pictures is trained on in bounded memory."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import toy_records
from PIL import Image

from data_pipelines import build

CLIPS, FRAMES, SIZE = 600, 150, 256  # an hour of 25 frames a second


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_an_hour_of_256_pixel_records_trains_in_less_than_four_gigabytes(tmp_path):
  pictures = _pictures(np.random.default_rng(0))
  splits = {
    'train': (_record(i, pictures) for i in range(CLIPS)),
    'test': (_record(i, pictures) for i in range(CLIPS, CLIPS + 4)),
  }
  build.write_records(splits, tmp_path / 'records', 'toy')
  for stage, steps, more in (
    ('expression', 2, []),
    ('portrait', 30, [f'--config.data.expression_workdir={tmp_path}/expression']),
  ):
    variant = {'expression': 'smoke', 'portrait': 'builtin'}[stage]
    command = [
      sys.executable, '-m', 'gmtalker_jax.cli.main', 'train',
      f'--config=configs/{stage}.py:{variant}', f'--workdir={tmp_path}/{stage}',
      f'--config.data.records={tmp_path}/records', f'--config.steps={steps}',
      '--config.evaluation.batches=2', *more,
    ]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != 'XLA_FLAGS'}
    with subprocess.Popen(command, env=environment) as process:
      _, status, usage = os.wait4(process.pid, 0)
      process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
  gigabytes = usage.ru_maxrss * 1024 / 1e9  # of the portrait's training, the last one
  size = sum(f.stat().st_size for f in (tmp_path / 'records').rglob('*') if f.is_file()) / 1e9
  print(json.dumps({'records_gb': round(size, 2), 'peak_gb': round(gigabytes, 2)}))  # noqa: T201
  assert size > 4  # the records alone would not fit
  assert gigabytes < 4


def _pictures(rng):
  """Encoded pictures about as large as a filmed face."""

  def one(kind, noise):
    coarse = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    image = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(image).save(data, kind, **({'quality': 95} if kind == 'JPEG' else {}))
    return data.getvalue()

  return [(one('JPEG', 6), one('PNG', 0)) for _ in range(20)]


def _record(i, pictures):
  rng = np.random.default_rng(i)
  record = toy_records.record(i)
  chosen = [pictures[k] for k in rng.integers(0, len(pictures), FRAMES)]
  return {
    **record,
    'subject': 'M001',
    'speech': rng.normal(size=(2 * FRAMES, toy_records.SPEECH_DIM)).astype(np.float16),
    'expression': rng.uniform(size=(FRAMES, 50)).astype(np.float32),
    'motion': rng.normal(size=(FRAMES, 12)).astype(np.float32),
    'valid': np.ones(FRAMES, np.float32),
    'frames': [photograph for photograph, _ in chosen],
    'renderings': [rendering for _, rendering in chosen],
  }
