"""`try_handler` under its public name; its home is `jarvis_trio.testing.trial`."""

from jarvis_trio.testing.trial import try_handler

__all__ = ["try_handler"]
