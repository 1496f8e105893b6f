"""Tasks of other schedulers, read as tasks of ours: crontabs and launchd's property lists. Pure."""
