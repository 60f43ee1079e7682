"""Run an artifact's program on a device and bring back what it computed (docs/device.md)."""
