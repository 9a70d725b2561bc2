"""Metrics of the built-in tasks, from predictions and truth."""
