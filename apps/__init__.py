"""What people run: command lines and, later, apps."""
