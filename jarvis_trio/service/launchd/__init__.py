"""The daemon as a macOS launchd agent: render its plist, install it, remove it, roll back.

It replaces the agents of an existing assistant. Two of that assistant's agents,
`com.chg.imessage-daemon` and `com.chg.jarvis-backup`, are never asked about nor touched.
"""
