"""Memory descriptions (YAML)."""
