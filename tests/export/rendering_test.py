"""The head and its picture in PyTorch beside those of JAX."""

import numpy as np
import pytest
import tiny_talker
import torch

from gmtalker_jax.export import exporting
from gmtalker_jax.export.gmtalker_torch.head import Head
from gmtalker_jax.face import render
from gmtalker_jax.face.bust import Bust
from gmtalker_jax.face.person import Person
from gmtalker_jax.types import Coefficients


@pytest.mark.parametrize('dressed', [False, True])
def test_pictures_of_the_head_are_the_same(dressed):
  talker = tiny_talker.talker()
  numbers = np.random.default_rng(0)
  identity = numbers.normal(size=80).astype(np.float32)
  person = Person.plain(identity)
  if dressed:
    texture = numbers.uniform(0, 1, (32, 32, 3)).astype(np.float32)
    light = numbers.normal(0.3, 0.1, (9, 3)).astype(np.float32)
    eyes = np.array([[0.9, 0.9, 0.8], [0.1, 0.3, 0.6]], np.float32)
    picture = numbers.uniform(0, 1, (32, 32, 4)).astype(np.float32)
    follows = numbers.normal(0, 0.1, (7, 8)).astype(np.float32)
    moved = numbers.normal(0, 0.002, talker.head.mean.shape).astype(np.float32)
    person = Person(identity, texture, light, eyes, Bust(picture, follows), moved, 0.4)
  talker = talker._replace(person=person)
  expression = numbers.uniform(0, 0.5, (3, 50)).astype(np.float32)
  motion = numbers.normal(0, 0.15, (3, 12)).astype(np.float32)
  motion[:, 6:8] = numbers.uniform(0, 1, (3, 2))
  ours = render.render_frames(talker.head, person, Coefficients(expression, motion), 96, 3)
  twin = Head({k: torch.from_numpy(v) for k, v in exporting.head_tensors(talker).items()})
  made = [
    twin.render(torch.from_numpy(e), torch.from_numpy(m), 96).numpy()
    for e, m in zip(expression, motion, strict=True)
  ]
  gap = np.abs(np.stack(made).astype(int) - ours)
  assert ours.std() > 20  # there is a head
  assert (gap > 1).mean() < 2e-4  # rounding may decide which of two triangles an edge pixel shows
  assert gap.mean() < 0.01
  own = render.personal(talker.head, person)
  posed = render.posed(own, np.zeros(0, np.float32), Coefficients(expression[0], motion[0]))
  vertices = twin.vertices(torch.from_numpy(expression[0]), torch.from_numpy(motion[0]))
  np.testing.assert_allclose(vertices, posed, atol=1e-5)


def test_what_lies_behind_the_camera_is_not_drawn():
  talker = tiny_talker.talker()
  twin = Head({k: torch.from_numpy(v) for k, v in exporting.head_tensors(talker).items()})
  motion = torch.zeros(12)
  motion[5] = 20.0
  picture = twin.render(torch.zeros(50), motion, 32)
  assert not picture.any()
