"""A person whose skin and light are known is photographed by our own renderer, and found again."""

import numpy as np
import pytest

from data_pipelines import likeness, texture_fill
from gmtalker_jax.data import schema
from gmtalker_jax.face import chart, render
from gmtalker_jax.face.person import Person
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

SIZE, SHOTS = 192, 16
BACKDROP = (0, 255, 0)
RNG = np.random.default_rng(0)
LIGHT = np.array([0.55, 0.02, 0.22, -0.12, 0, 0, 0.02, 0, 0], np.float32)


@pytest.fixture(scope='module')
def head():
  return load_head()


@pytest.fixture(scope='module')
def ann():
  """Skin with freckles, dark hair from the forehead up, lit from the left."""
  rows, columns = np.mgrid[:256, :256] / 256
  texture = np.tile(np.array([0.62, 0.45, 0.36], np.float32), (256, 256, 1))
  texture *= (1 + 0.15 * np.cos(25 * rows) * np.cos(25 * (columns - 0.5)))[..., None]
  texture[rows < 0.12] = 0.12, 0.09, 0.07
  identity = np.zeros(80, np.float32)
  identity[:4] = 0.8, -0.6, 0.5, 0.7
  return Person.plain(identity).replace(texture=texture.astype(np.float32), light=LIGHT)


@pytest.fixture(scope='module')
def coefficients():
  motion = RNG.normal(0, 0.03, (SHOTS + 4, 12)).astype(np.float32)
  motion[:, schema.BLINK] = 0
  motion[:, 1] = np.linspace(-0.4, 0.4, SHOTS + 4)
  motion[:, 0] = 0.2 * np.sin(np.arange(SHOTS + 4))
  expression = RNG.uniform(0, 0.2, (SHOTS + 4, 50)).astype(np.float32)
  return Coefficients(expression, motion)


@pytest.fixture(scope='module')
def photographs(head, ann, coefficients):
  frames = render.render_frames(head, ann, coefficients, SIZE, 4)
  return np.where(frames.max(-1, keepdims=True) > 0, frames, BACKDROP).astype(np.uint8)


@pytest.fixture(scope='module')
def shots(photographs, coefficients):
  """Every fifth frame is left out: the fit never sees those."""
  return [
    likeness.Shot(photographs[i], Coefficients(coefficients.expression[i], coefficients.motion[i]))
    for i in range(len(photographs))
    if i % 5
  ]


@pytest.fixture(scope='module')
def found(head, ann, shots):
  return likeness.fit(head, ann.identity, shots)


@pytest.fixture(scope='module')
def seen(head, coefficients):
  """[R, R] texels of the face, which all frames show."""
  on_face = np.zeros((256, 256), bool)
  at = np.asarray(head.mean)
  front = (np.asarray(chart.skin(head)) > 0.5) & (at[:, 2] > 0.25) & (at[:, 1] > -0.2)
  column, row = (np.asarray(head.uv)[front] * 256).astype(int).clip(0, 255).T
  on_face[row, column] = True
  assert on_face.sum() > 1500
  return on_face


def psnr(one, two, mask):
  return 10 * np.log10(255**2 / np.mean((one[mask].astype(float) - two[mask]) ** 2))


def held_out(head, person, photographs, coefficients):
  """PSNR in the mask of the head on frames that were not fitted to."""
  rows = slice(0, None, 5)
  frames = Coefficients(coefficients.expression[rows], coefficients.motion[rows])
  ours = render.render_frames(head, person, frames, SIZE, 4)
  return psnr(ours, photographs[rows], ours.max(-1) > 0)


def test_the_rendering_of_what_was_found_looks_like_the_photographs(
  head, ann, found, photographs, coefficients
):
  plain = Person.plain(ann.identity)
  assert held_out(head, plain, photographs, coefficients) < 20
  assert held_out(head, found, photographs, coefficients) > 27


def test_skin_and_light_are_told_apart(head, ann, found, seen):
  """But for the scale between the two, which nothing tells."""
  truth, ours = ann.texture[seen], np.asarray(found.texture)[seen]
  ratio = ours / truth
  assert np.median(np.abs(ratio / np.median(ratio) - 1)) < 0.06
  assert np.corrcoef(truth.ravel(), ours.ravel())[0, 1] > 0.9
  lamp = np.asarray(found.light).reshape(9, -1).mean(1) * np.median(ratio)
  # The side that the light comes from, as a share of what comes from everywhere.
  np.testing.assert_allclose(lamp[3] / lamp[0], LIGHT[3] / LIGHT[0], atol=0.1)


def test_albedo_has_the_scale_of_the_heads_own(head, found, seen):
  ours = np.asarray(found.texture)
  assert ours.shape == (256, 256, 3)
  assert 0 <= ours.min() <= ours.max() <= 1
  np.testing.assert_array_equal(np.round(ours * 255) / np.float32(255), ours)  # as it is stored
  skin = np.asarray(head.albedo)[np.asarray(chart.skin(head)) > 0.5]
  assert np.median(ours[seen].mean(-1)) == pytest.approx(np.median(skin.mean(-1)), rel=0.15)


def test_the_backdrop_does_not_enter(head, ann, shots):
  """Even where the head that was fitted is larger than the one on the photograph."""
  nearer = [shot.coefficients.motion.copy() for shot in shots]
  for motion in nearer:
    motion[schema.TRANSLATION] += 0, 0, 0.12  # two per cent
  shots = [
    shot._replace(coefficients=shot.coefficients.replace(motion=motion))
    for shot, motion in zip(shots, nearer, strict=True)
  ]
  texture = np.asarray(likeness.fit(head, ann.identity, shots).texture)
  excess = texture[..., 1] - texture[..., [0, 2]].max(-1)
  assert excess.max() < 0.1  # the backdrop has 1


def test_a_hand_that_passes_leaves_no_trace(head, ann, shots, found, seen):
  hidden = [shot._replace(picture=shot.picture.copy()) for shot in shots]
  for shot in hidden[::5]:
    shot.picture[SIZE // 3 : SIZE // 2, SIZE // 4 : -SIZE // 4] = 40, 60, 200
  again = likeness.fit(head, ann.identity, hidden)
  off = np.abs(np.asarray(again.texture) - np.asarray(found.texture))[seen]
  assert np.mean(off) < 0.02
  assert np.percentile(off, 99) < 0.1


def test_one_photograph_is_enough_for_a_person(head, ann, shots):
  one = likeness.fit(head, ann.identity, shots[7:8])
  assert np.isfinite(np.asarray(one.texture)).all()
  assert np.isfinite(np.asarray(one.light)).all()


def test_what_nobody_saw_is_the_mirror_image_then_the_neighbours():
  texture = np.full((64, 64, 3), 0.2, np.float32)
  texture[20:40, 40:60] = 0.8  # seen on the right
  trust = np.zeros((64, 64), np.float32)
  trust[:, 32:] = 1
  trust[50:] = 0
  filled = texture_fill.fill(texture, trust)
  np.testing.assert_allclose(filled[25:35, 45:55], 0.8, atol=1e-3)
  np.testing.assert_allclose(filled[25:35, 9:19], 0.8, atol=0.05)
  np.testing.assert_allclose(filled[58:], 0.2, atol=0.1)
  assert np.abs(np.diff(filled[:, :, 0], axis=0))[45:].max() < 0.1  # no seam
