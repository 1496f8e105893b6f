"""How the programs talk to the harness: a verb and its arguments in, JSON lines out.

The programs run in different environments, so nothing here needs more than Python.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any


def answer(verbs: Mapping[str, Callable[..., Any]]) -> None:
    """Do what the command line asks for (a verb, and its arguments as a JSON object), and tell the result."""
    verb, arguments = sys.argv[1:]
    result = verbs[verb](**json.loads(arguments))
    if result is not None:
        tell(result)


def tell(result: object) -> None:
    """Write one line that the harness reads."""
    print(json.dumps(result), flush=True)
