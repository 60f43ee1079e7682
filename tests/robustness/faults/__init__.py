"""Processes killed at any moment: `python -m tests.robustness.faults --kills 200`."""
