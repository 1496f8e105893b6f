"""JSON as rows hold it: configurations on their way in, results on their way out. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jarvis_trio.errors import JarvisError, ScheduleError

RESULT_LIMIT = 64 * 1024
"""How many characters of a result are kept. The length of the whole is kept with them."""

_SHORTEST_CUT = 100
"""Texts within a result are cut to this many characters at the least, before its structure goes."""


def json_object(text: str | None, what: str, raises: type[JarvisError] = ScheduleError) -> dict[str, Any]:
    """The JSON object in `text`; an empty one if there is no text.

    Args:
        text: what a column or an option holds.
        what: its name, for the message.
        raises: the kind of error that the caller's callers expect; by default the one that
            installed handlers know.
    """
    if text is None or not text.strip():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise raises(f"{what} is not JSON ({error}): {text[:80]!r}") from None
    if not isinstance(value, dict):
        raise raises(f'{what} must be a JSON object, such as {{"name": "value"}}, not {text[:80]!r}')
    return value


def json_value(text: str | None) -> Any:
    """What the JSON in `text` means. Text that is not JSON stays text, and None stays None."""
    if text is None:
        return None
    try:
        return _STRICT.decode(text)
    except (ValueError, RecursionError):
        return text


def result_text(result: object, limit: int = RESULT_LIMIT) -> str:
    """A handler's result as JSON in ASCII, so that any reader can take it.

    If it is longer than `limit` characters, the texts in it are cut and its structure stays.
    If that is not enough, its first `limit` characters remain, as text.
    """
    if isinstance(result, str) and len(result) > limit:
        return _head(result, limit)
    if isinstance(result, str) and _is_json(result):
        return result if result.isascii() else _fitted(json.loads(result), limit)
    return _fitted(dict(result) if isinstance(result, Mapping) else result, limit)


def _fitted(value: object, limit: int) -> str:
    whole = text = _dumped(value)
    longest = limit
    while len(text) > limit and longest > _SHORTEST_CUT:
        longest //= 2
        text = _dumped(_with_short_texts(json.loads(whole), longest))
    return text if len(text) <= limit else _head(whole, limit)


def _head(text: str, limit: int) -> str:
    return json.dumps({"cut": True, "length": len(text), "head": text[:limit]})


def _dumped(value: object) -> str:
    try:
        return json.dumps(value, default=str, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(repr(value))


def _with_short_texts(value: Any, longest: int) -> Any:
    """`value` with each text in it cut to `longest` characters of JSON; keys stay."""
    if isinstance(value, str):
        return _shortened(value, longest)
    if isinstance(value, list):
        return [_with_short_texts(item, longest) for item in value]
    if isinstance(value, dict):
        return {key: _with_short_texts(item, longest) for key, item in value.items()}
    return value


def _shortened(text: str, longest: int) -> str:
    """The beginning of a text whose JSON is longer than `longest`, with a mark that it was cut."""
    escaped = json.dumps(text)
    if len(escaped) <= longest:
        return text
    kept = max(longest * len(text) // len(escaped), 1)
    return f"{text[:kept]}… ({len(text):,} characters)"


def _is_json(text: str) -> bool:
    try:
        _STRICT.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON, although Python reads it")


_STRICT = json.JSONDecoder(parse_constant=_refuse)
"""Made once: with an option, `json.loads` makes a decoder for each text, and that takes longer."""
