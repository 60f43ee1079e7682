"""Anybody's Gradle project, read without running Gradle: its modules, and the ExecuTorch that it links."""
