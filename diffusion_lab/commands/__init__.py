"""What can be asked for in a terminal: train, sample, judge. A module for each, and one for their arguments."""
