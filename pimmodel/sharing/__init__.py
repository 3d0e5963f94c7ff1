"""Host and PIM on one memory: the sharing policies."""
