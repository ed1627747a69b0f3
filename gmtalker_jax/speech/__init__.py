"""Speech features at 50 Hz: two rows per video frame (method 1.2, with encoders that need no GPU).

Row r belongs to the samples [320 r, 320 r + 320), so rows 2t and 2t+1 belong to video frame t and
to nothing else. An encoder is spelled `[causal:]NAME[+NAME..][@DIGEST]`:

  logmel       80 log-mel energies of a 25 ms window. Sharp in time.
  embedding    96 values of Google's speech_embedding (Apache-2.0): 775 ms of context, robust to
               the speaker.
  hubert-base  768 values of HuBERT, hubert-large 1024 (the paper's), whose published weights you
               bring along; they see the whole clip.
  +            puts encoders side by side
  causal:      loudness is evened out from the past alone, so that a stream equals the file; without
               it one gain, of the whole clip, does (loudness.py)
  @DIGEST      which numbers come out, in records and talkers; whoever types leaves it away
"""

from gmtalker_jax.speech.encoder import Encoder
from gmtalker_jax.speech.encoders import DEFAULT, dimension, encode, open, same

__all__ = ['DEFAULT', 'Encoder', 'dimension', 'encode', 'open', 'same']
