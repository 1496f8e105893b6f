"""Properties that are tried on some examples in `make test`, and on many in `make thorough`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy


def with_many_examples(test: Any, count: int, strategies: Mapping[str, SearchStrategy[Any]], **options: Any) -> Any:
    """The property of a test that `given` has made, as another test of the same laws with this number of examples.

    Args:
        options: of Hypothesis, as its `settings` take them.
    """
    many = settings(max_examples=count, **options)(given(**strategies)(test.hypothesis.inner_test))
    for mark in getattr(test, "pytestmark", []):
        many = getattr(pytest.mark, mark.name)(*mark.args)(many)
    return pytest.mark.slow(pytest.mark.thorough(many))
