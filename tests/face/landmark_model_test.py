import jax.numpy as jnp
import numpy as np

from gmtalker_jax.face import landmarks, morphable
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

RNG = np.random.default_rng(0)


def test_it_places_the_landmarks_where_the_head_has_them():
  head = load_head()
  expression, identity = RNG.uniform(0, 1, (2, 50)), RNG.normal(size=head.identity.shape[0])
  weights = morphable.blendshapes(Coefficients(jnp.asarray(expression), jnp.zeros((2, 12))))
  shape = morphable.vertices(head, jnp.asarray(identity), weights, jnp.zeros((2, 4)))
  want = morphable.landmarks(head, shape)
  model = LandmarkModel.of(head)
  np.testing.assert_allclose(model.place(expression, identity), want, atol=1e-5)


def test_what_lies_on_the_skin_is_told_from_what_turns_with_an_eye():
  head = load_head()
  gaze = jnp.array([[0.0, 0.0, 0.0, 0.0], [0.2, 0.3, -0.2, 0.3]])
  shape = morphable.vertices(head, jnp.zeros(head.identity.shape[0]), jnp.zeros(52), gaze)
  straight, turned = morphable.landmarks(head, shape)
  on_skin = LandmarkModel.of(head).on_skin
  np.testing.assert_array_equal(np.any(straight != turned, axis=-1), ~on_skin)
  assert not on_skin[landmarks.ON_SKIN :].any()
