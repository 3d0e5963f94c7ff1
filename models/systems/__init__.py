"""System descriptions (YAML)."""
