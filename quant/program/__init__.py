"""A .pte as bytes and as a process: read, inspected, run in a child process, timed."""
