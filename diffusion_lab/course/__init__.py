"""The course as a whole: its list of lessons, its map, and what a reader's machine lacks for it."""
