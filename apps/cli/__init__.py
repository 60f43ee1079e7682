"""The commands: parse, call, print, exit code."""

from apps.cli.waiting import wait_asleep

wait_asleep()
