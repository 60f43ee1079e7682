"""Lowering: one file a backend, named by `table.py`."""
