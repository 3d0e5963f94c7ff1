"""Networks: layer types, graphs, the training step."""
