"""The commands: parse, call, print, exit code."""

from apps.cli.process import wait_asleep

wait_asleep()
