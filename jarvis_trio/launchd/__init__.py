"""The daemon as a macOS launchd agent: render its plist, install it, remove it, roll back.

A command is a list of steps, decided before the first is done: `--dry-run`
prints it, and `perform` does it, taking back what was done when a step fails.
Three old agents are replaced, and two others, `com.chg.imessage-daemon` and
`com.chg.jarvis-backup`, are never asked about nor touched.
"""
