"""Post-training quantization: one method a file, and `steps.py`, which composes them."""
