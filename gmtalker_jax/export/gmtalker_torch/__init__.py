"""A talking portrait in PyTorch: speech and an emotion in, frames out.

import gmtalker_torch

talk = gmtalker_torch.load().speak('voice.wav', emotion='0:neutral 1:happy', seed=3)
talk.save('talk.mp4')
"""

from .talker import Talk, Talker, load, save

__all__ = ['Talk', 'Talker', 'load', 'save']
