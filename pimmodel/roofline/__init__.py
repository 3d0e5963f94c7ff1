"""Roofline models of kernels on the host."""
