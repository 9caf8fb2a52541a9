"""Seeing with a denoiser: read, segment, find, turn upright.

Taught in: lessons/13_vision
"""
