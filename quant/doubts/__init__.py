"""Whether a verdict can be believed: what float itself makes of the photographs, before anything is compared."""
