"""The commands' flows: `quantize`, `check`, `bench`, from a request to an outcome."""
