"""Trained weights that come with the course, and how to load them, or your own."""
