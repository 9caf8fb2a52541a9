"""What is true with pen and paper: float64, no networks, no pictures."""
