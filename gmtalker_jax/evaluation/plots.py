"""Plots as SVG text that takes the page's own text colour, so they fit light and dark pages."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from gmtalker_jax.data import schema

_INK = '#010203'  # becomes the page's text colour
# One colour per emotion, in the order of schema.EMOTIONS; told apart by colour-blind readers too.
COLOURS = dict(
  zip(
    schema.EMOTIONS,
    ('#d1495b', '#8d6a9f', '#6a994e', '#5e60ce', '#f4a300', '#8a8f98', '#2a7fba', '#00a896'),
    strict=True,
  )
)
_STYLE: dict[Any, Any] = {
  'svg.fonttype': 'none',
  'font.family': 'sans-serif',
  'font.size': 10,
  'text.color': _INK,
  'axes.labelcolor': _INK,
  'axes.edgecolor': _INK,
  'xtick.color': _INK,
  'ytick.color': _INK,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.grid': True,
  'grid.alpha': 0.15,
  'grid.color': _INK,
  'legend.frameon': False,
}


def training_curve(rows: Sequence[Mapping[str, float]], names: Mapping[str, str]) -> str:
  """Curves over steps; `names` maps a metric to its label. Rows are lines of metrics.jsonl."""
  with matplotlib.rc_context(_STYLE):
    figure = Figure((4.6, 2.9))
    axes = figure.add_subplot()
    for name, label in names.items():
      points = [(r['step'], r[name]) for r in rows if name in r]
      if points:
        style: dict[str, Any] = (
          {'marker': 'o', 'ms': 4} if name.startswith('test/') else {'lw': 1.2}
        )
        steps, values = np.array(points).T
        axes.plot(steps, values, label=label, **style)
    axes.set_xlabel('training step')
    axes.legend(fontsize=9)
    return _svg(figure)


def compared_curves(runs: Sequence[tuple[str, Sequence[Mapping[str, float]]]], name: str) -> str:
  """One number over steps in many runs (label, lines of metrics.jsonl); a colour for each label."""
  colours: dict[str, str] = {}
  with matplotlib.rc_context(_STYLE):
    figure = Figure((4.6, 2.9))
    axes = figure.add_subplot()
    for label, rows in runs:
      points = [(r['step'], r[name]) for r in rows if name in r]
      if points:
        told = None if label in colours else label
        colour = colours.setdefault(label, f'C{len(colours) % 10}')
        axes.plot(*np.array(points).T, color=colour, label=told, lw=1.2, marker='o', ms=3)
    axes.set_xlabel('training step')
    axes.legend(fontsize=9)
    return _svg(figure)


def embedding(points: Sequence[Sequence[float]], emotions: Sequence[str]) -> str:
  """t-SNE points coloured by emotion."""
  place, label = np.asarray(points), np.asarray(emotions)
  with matplotlib.rc_context(_STYLE | {'axes.grid': False}):
    figure = Figure((6.2, 4.2))
    axes = figure.add_subplot()
    for name, colour in COLOURS.items():
      mine = place[label == name]
      if len(mine):
        axes.scatter(*mine.T, s=34, color=colour, label=name, edgecolor='white', linewidth=0.5)
    axes.set(xticks=[], yticks=[], xlabel='t-SNE 1 (no unit)', ylabel='t-SNE 2 (no unit)')
    axes.legend(loc='center left', bbox_to_anchor=(1, 0.5))
    return _svg(figure)


def seeds(motion: np.ndarray) -> str:
  """Head yaw and pitch [N seeds, T, M] over time."""
  seconds = np.arange(motion.shape[1]) / schema.FRAME_RATE
  with matplotlib.rc_context(_STYLE):
    figure = Figure((8.4, 3.6))
    for row, (channel, label) in enumerate(((1, 'turn (yaw)'), (0, 'nod (pitch)'))):
      axes = figure.add_subplot(2, 1, row + 1)
      for i, one in enumerate(motion):
        axes.plot(seconds, np.degrees(one[:, channel]), lw=1.1, color=f'C{i % 10}')
      axes.set_ylabel(f'{label}\ndegrees')
    axes.set_xlabel('seconds')
    return _svg(figure)


def emotion_track(emotion: np.ndarray, expression: np.ndarray) -> str:
  """Emotion weights [T, K] that were asked for, and what three muscles do [T, E]."""
  seconds = np.arange(len(emotion)) / schema.FRAME_RATE
  with matplotlib.rc_context(_STYLE):
    figure = Figure((8.4, 3.8))
    top = figure.add_subplot(2, 1, 1)
    used = [k for k in range(emotion.shape[1]) if emotion[:, k].max() > 0]
    names = [schema.EMOTIONS[k] for k in used]
    top.stackplot(
      seconds, emotion[:, used].T, labels=names, colors=[COLOURS[n] for n in names], alpha=0.85
    )
    top.set_ylabel('asked for:\nemotion weights')
    top.legend(loc='center left', bbox_to_anchor=(1, 0.5))
    low = figure.add_subplot(2, 1, 2)
    for name in ('mouthSmileLeft', 'browDownLeft', 'browInnerUp', 'jawOpen'):
      low.plot(seconds, expression[:, schema.EXPRESSION_NAMES.index(name)], label=name, lw=1.3)
    low.set(xlabel='seconds', ylabel='generated:\nblendshapes')
    low.legend(loc='center left', bbox_to_anchor=(1, 0.5))
    return _svg(figure)


def confusion(table: Mapping[str, Mapping[str, int]]) -> str:
  """Which emotion was asked for (rows) and which one the classifier saw (columns)."""
  names = list(table)
  counts = np.array([[table[a][b] for b in names] for a in names], float)
  shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
  with matplotlib.rc_context(_STYLE | {'axes.grid': False}):
    figure = Figure((4.6, 4.0))
    axes = figure.add_subplot()
    axes.imshow(shares, cmap='Blues', vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(counts):
      if value:
        shade = 'white' if shares[row, column] > 0.5 else '#1b2a41'
        axes.text(column, row, f'{value:.0f}', ha='center', va='center', color=shade)
    axes.set_xticks(range(len(names)), names, rotation=45, ha='right')
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel='classifier saw', ylabel='asked for')
    return _svg(figure)


def ranks(scores: Mapping[str, float], about: Sequence[float] | None, label: str) -> str:
  """A bar for each of the scores (who -> number), in `label`; the talker's has its interval."""
  names = list(scores)[::-1]
  with matplotlib.rc_context(_STYLE):
    figure = Figure((4.6, 0.7 + 0.32 * len(names)))
    axes = figure.add_subplot()
    colours = ['#2a7fba' if name == 'talker' else '#8a8f98' for name in names]
    axes.barh(names, [scores[name] for name in names], color=colours, height=0.6)
    if about is not None and 'talker' in scores:
      axes.plot(about, [names.index('talker')] * 2, color=_INK, lw=2)
    axes.set_xlabel(label)
    return _svg(figure)


def _svg(figure: Figure) -> str:
  text = io.StringIO()
  metadata: dict[str, Any] = {'Date': None, 'Creator': None}
  figure.savefig(text, format='svg', transparent=True, bbox_inches='tight', metadata=metadata)
  svg = text.getvalue()
  return svg[svg.index('<svg') :].replace(_INK, 'currentColor')
