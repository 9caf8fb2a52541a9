"""From digits to a trained network: recipe, batches, loss, optimiser, the loop, and a run's file."""
