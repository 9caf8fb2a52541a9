"""The checks that answer the exercises: one module for each notebook."""
