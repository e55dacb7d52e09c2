"""Layered video decomposition: paint a texture once, and every frame of the shot follows."""

__version__ = "0.1.0"
