"""The pytest fixture `simulation`, for those who ask for it in their `conftest.py`.

    pytest_plugins = ["jarvis_trio.pytest_plugin"]

An entry point `pytest11` was rejected: every pytest run on the machine would import trio and this
package, even those that simulate nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from jarvis_trio.testing import Simulation

MakeSimulation = Callable[..., Simulation]
"""Called as `Simulation` is."""


@pytest.fixture
def simulation() -> Iterator[MakeSimulation]:
    """Make simulations, as in `simulation("2026-03-07T00:00")`, and end them with the test."""
    with ExitStack() as made:
        yield lambda *arguments, **options: made.enter_context(Simulation(*arguments, **options))
