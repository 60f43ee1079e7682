"""Android phones, through the system's adb: the app of `apps/android`, or ExecuTorch's own runner."""
