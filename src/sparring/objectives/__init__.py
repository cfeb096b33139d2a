"""What players minimise: losses of logits, penalties on gradients, constraints on weights."""
