"""Quantization-aware training: XNNPACK's int8 arithmetic with gradients, and what trains through it."""
