"""Descriptions that ship with pimmodel: hardware, networks, example scenarios."""
