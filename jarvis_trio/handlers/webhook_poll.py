"""Takes in what was dropped into the inbox: each file becomes one event, exactly once.

Guarantees: one event for each file, wherever the process dies. A file's event and the note
that this file is taken in are written in one transaction; only then is the file moved away,
and only after that is the note forgotten.

1. The process dies before the transaction: the file is still to be taken in.
2. It dies after the transaction: the file has a note, so the next poll only moves it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import timedelta
from os import stat_result
from pathlib import Path
from typing import Any, NamedTuple

from jarvis_trio.errors import HandlerError, StoreError
from jarvis_trio.handlers.inbox import LARGEST_FILE_BYTES, Inbox, IsSettled, RefusedFileError, TakenFile, open_inbox
from jarvis_trio.models import HandlerContext, ScheduledTask, WebhookEvent
from jarvis_trio.notation.instants import local_text, to_microseconds
from jarvis_trio.permission import permission_fix

SETTLING_TIME = timedelta(seconds=2)
"""A file must be unmodified for this long before it is taken."""


class Limits(NamedTuple):
    """What one poll takes at most, the rest waits for the next; and what one transaction holds."""

    most_files: int = 100_000
    most_bytes: int = 256 * 1024 * 1024
    batch_files: int = 500
    batch_bytes: int = 4 * 1024 * 1024


class WebhookPoll:
    """The handler `webhook_poll`.

    A file is a JSON object in UTF-8. Its `source` and `event_type` are texts or numbers, which
    are stored as text. Its `payload` may be missing (stored as an empty text); a text is stored
    as it is, anything else as JSON. Other keys are ignored. Only names that end in `.json` and
    do not begin with a dot are looked at, in the order of the names. What cannot become an
    event goes to `failed/`, with the reason beside it in `NAME.reason.txt`; so does whatever is
    not a plain file.

    Args:
        inbox: the folder; if it is missing, it is made with mode 0700.
        limits: what one poll takes at most.
    """

    def __init__(self, inbox: Path, limits: Limits = Limits()) -> None:  # noqa: B008  # immutable
        self._folder = inbox
        self._limits = limits

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> dict[str, Any]:
        """Take in the files that are there.

        Returns `status`, and how many files were `ingested` or `failed` and how many are
        `waiting` for a later poll; if files could be neither read nor moved, `troubles` has a
        few examples. Raises HandlerError if the inbox cannot be used, StoreError if the
        database cannot.
        """
        try:
            with open_inbox(self._folder, _settled_at(context)) as inbox:
                return _Poll(inbox, context, self._limits).run()
        except BlockingIOError:
            note = "another poll, or the assistant itself, is at work in this inbox"
            return {"status": "ok", "ingested": 0, "failed": 0, "note": note}
        except StoreError:  # one of them is an OSError too
            raise
        except OSError as error:
            inside = "" if error.filename in (None, str(self._folder), self._folder) else f": {error.filename}"
            raise HandlerError(
                f"cannot use the inbox {self._folder}: {error.strerror or error}{inside}",
                fix=permission_fix(self._folder, error, "make its folders real, writable and on one disk"),
            ) from None


def _settled_at(context: HandlerContext) -> IsSettled:
    """Whether a file was not written lately.

    A poll does not outlive its time limit. A file dated beyond that says nothing about its
    age: its sender's clock was ahead, or ours was set back.
    """
    now_ns = to_microseconds(context.started_at) * 1000
    settling_ns, limit_ns = (round(span.total_seconds() * 1e9) for span in (SETTLING_TIME, context.timeout))

    def is_settled(status: stat_result) -> bool:
        return not -limit_ns <= now_ns - status.st_mtime_ns < settling_ns

    return is_settled


class _Poll:
    def __init__(self, inbox: Inbox, context: HandlerContext, limits: Limits) -> None:
        self._inbox = inbox
        self._limits = limits
        self._store = context.store
        self._cancelled = context.cancelled
        self._received_at = local_text(context.started_at, context.zone)
        self._ingested = 0
        self._failed = 0

    def run(self) -> dict[str, Any]:
        files = self._inbox.take(self._limits.most_files)
        for batch in _batches(files, self._limits):
            self._take_in(batch)
            if self._cancelled.is_set():
                break
        if self._ingested:
            self._record([])  # forgets the files that were moved last
        result = {
            "status": "ok",
            "ingested": self._ingested,
            "failed": self._failed,
            "waiting": self._inbox.count_left(),
        }
        return result | ({"troubles": self._inbox.troubles} if self._inbox.troubles else {})

    def _take_in(self, batch: list[TakenFile]) -> None:
        accepted, events, refused = [], [], []
        for file in batch:
            try:
                found = self._inbox.read(file.name)
                if found is not None:
                    events.append(WebhookEvent(found.identity, *_parse(found.content)))
                    accepted.append(file)
            except RefusedFileError as error:
                refused.append((file, str(error)))
        self._ingested += self._record(events)
        for file in accepted:
            self._inbox.accept(file)
        for file, reason in refused:
            self._inbox.refuse(file, reason)
        self._failed += len(refused)

    def _record(self, events: list[WebhookEvent]) -> int:
        self._inbox.sync()
        added: int = self._store.assistant.add_webhook_events(
            self._inbox.key, events, self._inbox.at_hand, self._received_at
        )
        return added


def _batches(files: Iterable[TakenFile], limits: Limits) -> Iterator[list[TakenFile]]:
    """The files, as many together as a transaction should hold, up to what one poll takes."""
    batch: list[TakenFile] = []
    batch_bytes = all_files = all_bytes = 0
    for file in files:
        batch.append(file)
        batch_bytes += min(file.status.st_size, LARGEST_FILE_BYTES)
        if len(batch) < limits.batch_files and batch_bytes < limits.batch_bytes:
            continue
        all_files += len(batch)
        all_bytes += batch_bytes
        yield batch
        if all_files >= limits.most_files or all_bytes >= limits.most_bytes:
            return
        batch, batch_bytes = [], 0
    if batch:
        yield batch


def _parse(content: bytes) -> tuple[str, str, str]:
    """The source, the event's type and the payload. Raises RefusedFileError."""
    try:
        # A byte order mark may be ignored: RFC 8259, section 8.1.
        value = _JSON.decode(content.decode("utf-8-sig"))
        if not isinstance(value, dict):
            raise RefusedFileError("it is not a JSON object")
        return _text(value, "source"), _text(value, "event_type"), _payload(value.get("payload", ""))
    except UnicodeError as error:
        raise RefusedFileError(f"it is not UTF-8: {error}") from None
    except RecursionError:
        raise RefusedFileError("its JSON is nested too deeply") from None
    except ValueError as error:
        raise RefusedFileError(f"it is not JSON: {error}") from None


def _text(value: dict[str, Any], key: str) -> str:
    found = value.get(key)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        raise RefusedFileError(f"its {key} must be a text or a number")
    return _storable(str(found))


def _payload(payload: Any) -> str:
    return _storable(payload) if isinstance(payload, str) else json.dumps(payload, allow_nan=False)


def _storable(text: str) -> str:
    """The text, if a database can store it.

    Half of a surrogate pair is valid JSON, but no database takes it. Raises UnicodeError for it.
    """
    text.encode()
    return text


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise RefusedFileError("a key occurs twice in one of its objects")
    return value


def _no_constant(name: str) -> Any:
    raise RefusedFileError(f"{name} is not JSON")


_JSON = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
