"""Diffusion Lab: the thin package under the course in `notebooks/`."""

__version__ = "0.1.0"
