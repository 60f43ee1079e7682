"""Whether a verdict can be believed: one file for each thing that makes it invalid."""
