"""The exported float graph: making it, reading it, running it, and what it would cost."""
