"""Mutants of every kind of file that is read, through the public commands: `python -m tests.fuzz --help`."""
