"""What can be asked for in a terminal: train, sample, restore, judge. A module for each; one for their arguments."""
