"""PIM kernels in closed form."""
