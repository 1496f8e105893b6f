"""What the schedule in a row means: cron, intervals, single times, and clock changes. Pure."""
