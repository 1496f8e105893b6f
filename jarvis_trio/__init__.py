"""A scheduler daemon: a trio nursery around a synchronous engine."""

__version__ = "0.1.0"
