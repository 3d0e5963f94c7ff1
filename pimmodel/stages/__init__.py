"""The closed-form stage model: a training step as a recurrence over the host's tasks, for millions of designs."""
