"""(x_t, t, label) → tensor: networks know the time as a number, and nothing of schedules."""
