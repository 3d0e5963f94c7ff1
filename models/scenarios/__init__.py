"""Example scenarios, one per sharing policy, for `pimmodel simulate`."""
