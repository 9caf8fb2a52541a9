"""Arrays in, pictures out; computes no mathematics."""
