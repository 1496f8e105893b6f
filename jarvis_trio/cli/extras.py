"""Modules whose libraries are an extra, imported when a command needs them."""

from __future__ import annotations

import importlib
import shlex
import sys
from types import ModuleType

from jarvis_trio.errors import JarvisError


def import_extra(module: str, what: str, extra: str, requirement: str) -> ModuleType:
    """Import a module of ours that needs `extra`. Raises JarvisError if that is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        fix = f"install it with: {shlex.quote(sys.executable)} -m pip install '{requirement}'"
        raise JarvisError(f"{what} needs the extra `{extra}` ({error})", fix=fix) from None
