"""From digits to a trained network: the loss, the loop, checkpoints, and the weights that come with the course."""
