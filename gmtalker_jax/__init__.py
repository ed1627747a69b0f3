"""Emotional talking portraits in JAX: GMTalker (arXiv 2312.07669) from speech to video."""
