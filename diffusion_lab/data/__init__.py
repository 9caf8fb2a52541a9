"""Real digits shipped with the package, full data sets on request, and 2-D toy clouds."""
