"""GPU descriptions (YAML)."""
