"""Seeing with a denoiser: read, segment, find, turn upright."""
