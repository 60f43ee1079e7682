"""Networks that are modules in memory: read, copied, and proved to compute what they did."""
