"""What an invented person looks like: a draw of skin, hair, eyes, clothes and light from a seed.

Nobody real is meant. The draw keeps combinations that go together: hair and brows, lips and skin,
clothes and background.
"""

from typing import NamedTuple

import numpy as np

Colour = tuple[float, float, float]  # linear reflectance 0..1

# Diffuse reflectance of skin from fair to deep, after the measured gamut of human skin.
SKIN_TONES = ((0.70, 0.47, 0.37), (0.62, 0.39, 0.28), (0.50, 0.29, 0.19), (0.33, 0.18, 0.115),
              (0.20, 0.105, 0.068))  # fmt: skip
HAIR_COLOURS = {
  'black': (0.020, 0.016, 0.014),
  'dark brown': (0.055, 0.032, 0.020),
  'chestnut': (0.125, 0.055, 0.026),
  'auburn': (0.190, 0.062, 0.022),
  'blond': (0.360, 0.225, 0.105),
  'grey': (0.230, 0.220, 0.210),
}
IRIS_COLOURS = {
  'brown': (0.150, 0.066, 0.024),
  'hazel': (0.190, 0.120, 0.040),
  'green': (0.120, 0.180, 0.090),
  'blue': (0.120, 0.220, 0.330),
  'grey': (0.200, 0.230, 0.250),
}
STYLES = {'M': ('crop', 'swept', 'parted'), 'W': ('bob', 'long', 'back')}
CLOTHES = (
  (0.050, 0.090, 0.160), (0.350, 0.080, 0.070), (0.080, 0.160, 0.110), (0.480, 0.420, 0.340),
  (0.090, 0.085, 0.095), (0.300, 0.180, 0.070), (0.160, 0.120, 0.220),
)  # fmt: skip
BACKGROUNDS = ((0.200, 0.235, 0.260), (0.300, 0.240, 0.190), (0.160, 0.210, 0.190),
               (0.240, 0.200, 0.240), (0.270, 0.270, 0.260))  # fmt: skip


class Appearance(NamedTuple):
  """Everything the camera sees of a person that is not shape or movement."""

  seed: int
  woman: bool
  skin: Colour
  blush: float  # 0..1
  freckles: float  # 0..1
  stubble: float  # 0..1
  lips: Colour
  hair: Colour
  style: str  # one of STYLES
  part: float  # x of the parting, head widths
  brow: float  # thickness factor
  iris: Colour
  clothes: Colour
  neckline: str  # 'crew' | 'v'
  background: Colour
  key_side: float  # -1 light from image left, +1 from image right


def draw(seed: int, sex: str, star: bool = False) -> Appearance:
  """Draws an appearance.

  Args:
    seed: the person's seed; the same seed gives the same looks.
    sex: 'M' or 'W'.
    star: the person of the demo gets a classic portrait look instead of a random one.
  """
  rng = np.random.default_rng([seed, 20231])
  woman = sex == 'W'
  tone = 0.6 if star else rng.choice(5, p=(0.25, 0.27, 0.2, 0.16, 0.12)) + rng.uniform(-0.4, 0.4)
  skin = _between(SKIN_TONES, float(np.clip(tone, 0, 4)))
  hair = 'chestnut' if star else rng.choice(_hair_names(tone))
  iris = (
    'green' if star else rng.choice(['brown', 'hazel', *(['green', 'blue', 'grey'] * (tone < 1.6))])
  )
  style = ('long' if woman else 'swept') if star else str(rng.choice(STYLES['W' if woman else 'M']))
  rosy = np.array((0.98, 0.50, 0.50)) if woman else np.array((0.95, 0.66, 0.62))
  return Appearance(
    seed=seed,
    woman=woman,
    skin=skin,
    blush=0.55 if star else rng.uniform(0.25, 0.7),
    freckles=0.35 if star else float(rng.random() < 0.4) * rng.uniform(0.2, 0.9) * (tone < 2),
    stubble=0.0 if woman else (0.35 if star else rng.uniform(0.0, 0.8)),
    lips=tuple(np.asarray(skin) * rosy),
    hair=HAIR_COLOURS[str(hair)],
    style=style,
    part=0.12 if star else rng.uniform(-0.2, 0.2),
    brow=rng.uniform(0.8, 1.05) if woman else rng.uniform(1.05, 1.4),
    iris=IRIS_COLOURS[str(iris)],
    clothes=CLOTHES[0] if star else CLOTHES[rng.integers(len(CLOTHES))],
    neckline='crew' if star or not woman else str(rng.choice(['crew', 'v'])),
    background=BACKGROUNDS[1] if star else BACKGROUNDS[rng.integers(len(BACKGROUNDS))],
    key_side=-1.0 if star else float(rng.choice([-1.0, 1.0])),
  )


def _hair_names(tone: float) -> list[str]:
  if tone > 2.2:
    return ['black', 'black', 'dark brown']
  return ['black', 'dark brown', 'chestnut', 'auburn', 'blond', 'grey']


def _between(table, at: float) -> Colour:
  columns = np.asarray(table).T
  red, green, blue = (float(np.interp(at, np.arange(columns.shape[1]), c)) for c in columns)
  return red, green, blue
