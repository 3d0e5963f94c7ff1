"""Inverse questions: which value of a parameter meets a target."""
