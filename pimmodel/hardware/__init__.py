"""Hardware descriptions: schemas, loader, derived quantities."""
