"""What comes from elsewhere: tasks of other schedulers read as ours, and an assistant to take over.

Nothing here writes. `crontab` and `plist` are pure.
"""
