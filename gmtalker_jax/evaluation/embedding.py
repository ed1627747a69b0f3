"""Where clips lie in the latent space: posterior means, and how far emotions are apart there."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from gmtalker_jax.inference.latents import Encoder
from gmtalker_jax.inference.talker import Talker

_NEIGHBOURS = 5


class Embedding(NamedTuple):
  """Clips as points."""

  points: np.ndarray  # [N, 2] t-SNE
  emotions: tuple[str, ...]
  subjects: tuple[str, ...]
  silhouette: float | None  # None where every clip has a label of its own
  knn_purity: float


def embed(talker: Talker, records: Sequence[Mapping[str, Any]], seed: int = 0) -> Embedding:
  """t-SNE of z_gm of clips with labels (method 5.3, 6.9)."""
  encode = Encoder(talker.expression, talker.speech_encoder)
  latents = np.stack([encode(record) for record in records])
  emotions = tuple(record['emotion'] for record in records)
  perplexity = min(30.0, max(2.0, (len(records) - 1) / 4))
  points = TSNE(perplexity=perplexity, init='pca', random_state=seed).fit_transform(latents)
  return Embedding(
    points,
    emotions,
    tuple(record['subject'] for record in records),
    float(silhouette_score(latents, emotions)) if len(set(emotions)) < len(emotions) else None,
    knn_purity(latents, emotions),
  )


def knn_purity(latents: np.ndarray, labels: Sequence[str]) -> float:
  """Share of the nearest neighbours that carry the same label."""
  names = np.asarray(labels)
  count = min(_NEIGHBOURS, len(names) - 1)
  near = NearestNeighbors(n_neighbors=count + 1).fit(latents).kneighbors(latents)[1][:, 1:]
  return float((names[near] == names[:, None]).mean())
