"""Mutants of every kind of file that is read, through the commands: `python -m tests.robustness.fuzz --help`."""
