"""From logits and measurements to a verdict, with its reasons and what to do about them."""
