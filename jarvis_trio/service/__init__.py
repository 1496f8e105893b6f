"""The daemon as a service of the user: a launchd agent on a Mac, a systemd user unit on Linux.

A command is a list of steps, decided before the first is done: `--dry-run` prints the list, and
`perform` does it and takes back what was done if a step fails. What both systems share stands in
this room: `daemon` (what is to run), `state` (how it stands, in words), `steps`, `programs`,
`waiting`. `launchd/` and `systemd/` hold what each system does in its own way.
"""
