"""Sound in, talking portrait out.

examples:
  python -m gmtalker_torch voice.wav --emotion happy --out talk.mp4
  python -m gmtalker_torch voice.wav --emotion "0:neutral 2:happy 4.5:angry@0.6" --out frames
  python -m gmtalker_torch --check
"""

import argparse
import sys
from pathlib import Path

import torch

from . import check, media
from .talker import load


def main() -> int:
  """Runs the command; 0 fine, 1 the check failed, 2 bad input."""
  parser = argparse.ArgumentParser(
    prog='python -m gmtalker_torch',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add('audio', nargs='?', help='a WAV file')
  add('--emotion', default='neutral', help='see above')
  add('--intensity', type=float, default=1.0, help='0..1')
  add('--seed', type=int, default=0, help='another seed, another talk')
  add('--temperature', type=float, default=1.0, help='0 = the most likely talk')
  add('--motion-scale', type=float, default=1.0, help='0 = a still head')
  add('--out', default='talk.mp4', help='talk.mp4 (needs the package av), or a folder for pictures')
  add('--device', default='cpu', help='where PyTorch computes, e.g. cuda')
  add('--check', action='store_true', help='compare this machine with the golden outputs')
  args = parser.parse_args()
  if args.check:
    return _check(args.device)
  if args.audio is None:
    parser.error('got no sound, expected a WAV file, or --check')
  try:
    sound = media.read_wav(args.audio)
    talk = load(device=args.device).speak(
      sound, args.emotion, args.intensity, args.seed, args.temperature, args.motion_scale
    )
    count = talk.save(args.out)
  except (ValueError, OSError) as error:
    print(f'gmtalker_torch: {error}', file=sys.stderr)
    return 2
  print(f'{args.out}: {count} frames, {count / 25:.2f} s')
  return 0


def _check(device: str) -> int:
  path = Path(__file__).parents[1] / 'golden.safetensors'
  results = check.golden(load(device=device), str(path))
  for one in results:
    verdict = 'ok' if one.passed else 'DIFFERS'
    mean = f'mean {one.mean:.2e} (limit {one.limit:.1e})'
    print(f'{verdict:8} {one.name:12} {mean}, largest {one.largest:.2e}')
  return int(not all(one.passed for one in results))


if __name__ == '__main__':
  torch.set_grad_enabled(False)
  sys.exit(main())
