"""Pure functions from logits and labels to figures."""
