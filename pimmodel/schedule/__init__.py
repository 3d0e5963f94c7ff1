"""Tasks and resources to times of a step."""
