"""Thresholds, chunks and placement chosen for a step, and the policies that they are compared with."""
