"""Processes killed at any moment: `python -m tests.faults --kills 200`."""
