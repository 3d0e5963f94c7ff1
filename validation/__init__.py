"""Reference simulator, its checker, and the harness that compares the formulas with it."""
