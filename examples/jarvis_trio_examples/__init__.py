"""Handlers to learn from and to start with: one in each module."""
