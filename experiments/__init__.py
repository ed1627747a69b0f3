"""Measurements behind the choices of this project; nothing imports them."""
