"""What people run: command lines, checks on devices, apps."""
