"""One DRAM channel in closed form."""
