"""From examples to weights: batches, losses, the Lightning module, warm start, checkpoints."""
