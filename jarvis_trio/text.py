"""Text that comes from rows, files and programs, made fit for a terminal or a log. Pure."""

from __future__ import annotations

import re

# C0 and C1 controls and DEL (a newline forges a log line, ESC and C1 drive the terminal); the
# marks, embeddings, overrides and isolates of Unicode's bidirectional algorithm (UAX 9), which
# reorder what a person reads; the line and paragraph separators; and lone surrogates, which no
# UTF-8 stream takes. `str.isprintable` was left: it also escapes the joiners inside emoji.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""`text` on one line, with what would act on a terminal escaped as Python writes it (`\x1b`)."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def storable(text: str) -> str:
    """`text` cut at 1,000 characters, and with lone surrogates escaped, which no database takes."""
    return text[:1000].encode("utf-8", "backslashreplace").decode()


def error_text(error: BaseException) -> str:
    """What an exception says of itself, storable; never raises, though its own `__str__` may."""
    try:
        return storable(str(error))
    except BaseException:  # noqa: BLE001  # border of law 4: whatever a handler raises is its task's error
        return "(its text cannot be had)"
