"""The PATH that a service gives to the daemon: where commands without a path are looked for."""

LAUNCHD = "/opt/homebrew/bin:/opt/homebrew/sbin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
"""In our property list; launchd's own has no Homebrew, neither Apple silicon's nor Intel's."""

SYSTEMD = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""About what a systemd of the user gives; distributions differ in the order."""
