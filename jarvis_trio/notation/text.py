"""Text for people: foreign text made safe to show, and times, durations and lists in words. Pure.

`strftime` names and the package humanize were rejected: both follow the process's locale, and the
sentences around them are English. Nor has humanize short forms (`in 4 min`).
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo

# C0, DEL and C1: a newline forges a line of the log, ESC and C1 drive the terminal. The marks,
# embeddings, overrides and isolates of Unicode's bidirectional algorithm (UAX 9), which reorder
# what a person reads. The line and paragraph separators. What nobody sees: zero-width spaces,
# annotations, and tags (U+E0000), by which a text speaks to an AI assistant behind a person's back.
# Lone surrogates, which no UTF-8 stream takes. `str.isprintable` was rejected: it also escapes the
# joiners inside emoji.
UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


NOT_UTF8 = re.compile("[\ud800-\udfff]")
"""Python holds bytes that are not UTF-8 as these. No database or other program takes them."""


def printable(text: str) -> str:
    r"""`text` on one line, with what would act on a terminal escaped as Python does (`\x1b`)."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


# ECMA-48, section 5.4: CSI sequences, in 7 and in 8 bits; strings (OSC, DCS, PM, APC, SOS) up to
# their terminator, or to the end of the line if a program was cut off; the other escape sequences.
# It is compiled when it is first needed, as are all that few commands need; `re` remembers them.
_ESCAPES = (
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]?"
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\\\|\x9c)?"
    "|\x1b[ -/]*[0-~]?"
)
_UNFINISHED = (
    "(?:(?:\x1b\\[|\x9b)[0-?]*[ -/]*|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*\x1b?|\x1b[ -/]*)\\Z"
)


def as_shown(text: str) -> str:
    """What a terminal would show of `text` in the end.

    Escape sequences go whole. Of what a carriage return overwrites the last stays, such as
    the last state of a progress bar; a backspace takes what stands before it.
    """
    text = _without_backspaces(re.sub(_ESCAPES, "", text))
    return "\n".join(_last_written(line) for line in text.replace("\r\n", "\n").split("\n"))


def without_escapes(text: str) -> tuple[str, str]:
    """`text` without its escape sequences, and the sequence at its end that is not whole yet.

    For a text that comes in pieces: the second value goes before the next piece.
    """
    unfinished = re.search(_UNFINISHED, text)
    end = len(text) if unfinished is None else unfinished.start()
    return re.sub(_ESCAPES, "", text[:end]), text[end:]


def last_line(text: str) -> str:
    """The last line that shows anything, on one line and printable; empty if none does."""
    lines = (line for line in reversed(as_shown(text).splitlines()) if _shows(line))
    return printable(next(lines, "").strip())


def _without_backspaces(text: str) -> str:
    """`text` without its backspaces and what they took, but never a line end. In one pass."""
    if "\b" not in text:
        return text
    kept: list[str] = []
    for character in text:
        if character != "\b":
            kept.append(character)
        elif kept and kept[-1] != "\n":
            kept.pop()
    return "".join(kept)


def _last_written(line: str) -> str:
    return next((part for part in reversed(line.split("\r")) if _shows(part)), "")


def _shows(line: str) -> bool:
    """Whether a person sees anything of it: not of blanks, control characters and joiners alone."""
    return any(character.isprintable() and not character.isspace() for character in line)


def storable(text: str) -> str:
    """`text` cut at 1,000 characters, with lone surrogates escaped, which no database takes."""
    return text[:1000].encode("utf-8", "backslashreplace").decode()


def error_text(error: BaseException) -> str:
    """What an exception says, storable. Never raises, though the exception's own `__str__` may."""
    return storable(_said(error))


def error_words(error: BaseException) -> str:
    """The kind of an exception, and what it says if it says anything, storable. Never raises."""
    return storable(whole_words(error))


def whole_words(error: BaseException) -> str:
    """As `error_words`, but not cut: a secret in it must be whole to be found. Never raises."""
    kind, text = type(error).__name__, _said(error)
    return f"{kind}: {text}" if text else kind


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001  # border of law 4: whatever a handler raises is its task's error
        return "(its text cannot be had)"


_NAMED = r"(jarvis-trio [a-z-]+) \{\}((?: --[a-z-]+(?: (?:'[^']*'|[^\s;`]+))?)*)( --(?= ))?"
"""A command with a place for the name of a task: what comes before, its options, and `--`."""


def with_name(text: str, name: str) -> str:
    """The text with the name for `{}`, as a shell takes it: `jarvis-trio edit {} --at TIME`.

    A name that begins like an option stands behind the options and `--`, where it is none.
    """
    quoted = shlex.quote(name)
    last = name.startswith("-")
    return re.sub(
        _NAMED,
        lambda found: f"{found[1]}{found[2]} -- {quoted}" if last else f"{found[1]} {quoted}{found[2]}{found[3] or ''}",
        text,
    )


def shortened(text: str, width: int) -> str:
    """The text; one that is longer than `width` characters ends there in an ellipsis."""
    return text if len(text) <= width else text[: width - 1] + "…"


def cells(text: str) -> int:
    """How many columns of a terminal a printable text takes: two for a CJK character, say."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def fitting(text: str, width: int) -> str:
    """The text; one that takes more than `width` columns ends there, or before, in an ellipsis."""
    if cells(text) <= width:
        return text
    ends = itertools.accumulate(map(_cells_of, text))
    fits = itertools.takewhile(lambda end: end < width, ends)
    return text[: sum(1 for _ in fits)] + "…"


def _cells_of(character: str) -> int:
    """Its columns by Unicode's East Asian Width; none if it is drawn onto the one before it."""
    import unicodedata  # noqa: PLC0415  # a shared library, which ASCII needs not

    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_UNITS = (
    ("year", timedelta(days=365)),
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)
_SHORT_UNITS = (
    ("d", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("min", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
)


_SIZES = ("B", "kB", "MB", "GB", "TB")


def moment_words(instant: datetime, zone: tzinfo) -> str:
    """The instant in `zone`, with the name of the offset in force: `Sun 2026-03-08 03:00 MDT`."""
    local = instant.astimezone(zone)
    return f"{date_words(local)} {time_words(instant, zone)} {local.tzname()}"


def date_words(day: date) -> str:
    """The date with its weekday: `Sun 2026-03-08`."""
    return f"{_DAYS[day.weekday()]} {day:%Y-%m-%d}"


def time_words(instant: datetime, zone: tzinfo) -> str:
    """The time of day in `zone`, with seconds only if there are any: `03:00`, `03:00:05`."""
    local = instant.astimezone(zone)
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"


def duration_words(duration: timedelta) -> str:
    """The duration in its two largest units: `2 days and 3 hours`, `250 milliseconds`."""
    if abs(duration) < timedelta(seconds=1):
        milliseconds = max(1, round(abs(duration) / timedelta(milliseconds=1)))
        return counted(milliseconds, "millisecond") if duration else "no time"

    words = []
    for name, unit in _UNITS:
        count, duration = divmod(duration, unit)
        if count:
            words.append(counted(count, name))
        if len(words) == 2 or (words and not count):
            break
    return " and ".join(words)


def short_duration(duration: timedelta) -> str:
    """The duration, rounded, in the largest unit that it holds twice: `4 min`, `36 h`, `0 s`."""
    fits = ((name, unit) for name, unit in _SHORT_UNITS if duration >= 2 * unit)
    name, unit = next(fits, _SHORT_UNITS[-1])
    return f"{round(duration / unit)} {name}"


def relative(instant: datetime, now: datetime) -> str:
    """How far an instant is from now: `in 4 min`, `2 h ago`."""
    distance = short_duration(abs(instant - now))
    return f"in {distance}" if instant > now else f"{distance} ago"


def counted(count: int, noun: str) -> str:
    """`1 slot`, `3 slots`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def counted_of(part: int, whole: int, noun: str, one: str, many: str) -> str:
    """`1 of 8 tasks is`, `3 of 8 tasks are`: a part of a whole with its verb, `one` or `many`."""
    return f"{part:,} of {counted(whole, noun)} {one if 1 in (part, whole) else many}"


def joined(items: Sequence[str], most: int = 4) -> str:
    """`a, b and c`; if there are more than `most`, the rest is counted: `a, b and 7 more`."""
    if len(items) > most:
        items = [*items[: most - 1], f"{len(items) - most + 1} more"]
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def size_words(count: float) -> str:
    """A number of bytes as a person says it: `812 B`, `1.2 MB`."""
    unit = 0
    while count >= 1000 and unit < len(_SIZES) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.1f} {_SIZES[unit]}" if unit and count < 10 else f"{count:.0f} {_SIZES[unit]}"


def nearest(name: str, names: Sequence[str]) -> str:
    """`did you mean 'backup'? ` if one of the names is near; otherwise nothing.

    The shortest name that begins with what was written is nearest: difflib takes a beginning for
    far from a long name.
    """
    found = _nearest(name, names)
    return f"did you mean {found!r}? " if found else ""


def nearest_or_all(name: str, names: Sequence[str], all_words: str) -> str:
    """What to do about a name that is not one of `names`: take the nearest, or else one of all.

    For long lists, in which nobody finds the one that was meant.

    Args:
        name: what was written.
        names: all there are.
        all_words: what the list of all is called, as in `the types are`.
    """
    found = _nearest(name, names)
    return f"did you mean {found!r}?" if found else f"{all_words} {', '.join(names)}"


def _nearest(name: str, names: Sequence[str]) -> str | None:
    import difflib  # noqa: PLC0415  # 3 ms, which only a mistake need pay

    begun = [each for each in names if len(name) >= 3 and each.startswith(name)]
    return next(iter(sorted(begun, key=len) or difflib.get_close_matches(name, names, n=1)), None)
