"""pimmodel: analytical performance models for a GPU and processing-in-memory sharing one DRAM."""

__version__ = "0.1.0"
