"""Geometry: from coefficients to pixels. Pure JAX; the disk is in io/heads.py."""
