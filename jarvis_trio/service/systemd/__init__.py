"""The daemon as a systemd user unit: write it, install it, remove it, roll back."""
