"""PIM descriptions (YAML)."""
