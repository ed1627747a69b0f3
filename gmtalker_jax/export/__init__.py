"""Talkers leave for PyTorch and come back. The only room that imports torch, an extra.

`gmtalker_torch` is what an exported folder takes along: it knows nothing of this package or of JAX.
"""
