"""The job folder that every device is given, and the results file that it gives back (docs/device.md)."""
