"""One checkpoint, a program for every backend, ranked."""
