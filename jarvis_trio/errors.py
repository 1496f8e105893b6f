"""The exceptions that a user of the program can meet.

Each says in one line what is wrong, with the value, and keeps the fix apart from it: the command
line prints both, `doctor` shows them in two columns, and an assistant reads the fix on its own.
"""

_LONGEST = 2_000
"""Characters. The value that an error quotes may be a row's megabyte, and goes into the log."""


class JarvisError(Exception):
    """The root: whatever the program refuses or cannot do.

    Args:
        says: what is wrong, with the value: one line without a full stop; cut if it is endless.
        fix: what to do about it, in the imperative; empty if nobody knows.

    `str()` of it is both: `there is no program 'bakup'; give the path of an executable`.
    """

    def __init__(self, says: str = "", *, fix: str = "") -> None:
        cut = says if len(says) <= _LONGEST else f"{says[: _LONGEST - 1]}…"
        super().__init__(cut)
        self.says = cut
        self.fix = fix

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.says, self.fix)))


class SettingError(JarvisError, ValueError):
    """A setting (an environment variable) has a value that is not allowed."""


class ScheduleError(JarvisError, ValueError):
    """A schedule, an instant, a duration, a zone or a policy cannot be understood."""


class CronError(ScheduleError):
    """A cron expression cannot be understood."""


class TaskError(JarvisError):
    """A task is not in a state that allows what was asked."""


class RequestError(JarvisError):
    """What is asked for contradicts itself, or lacks something.

    Names of a request's fields stand in backquotes, `every` say: a face shows them as it
    calls them itself, as `--every`.
    """


class OptionError(ScheduleError):
    """A value that a request gives for one of its fields is not allowed.

    The field's name stands in backquotes, as that of a RequestError does.
    """


class UnknownTaskError(TaskError, LookupError):
    """No task has that name or number."""


class DuplicateTaskError(TaskError):
    """Another task already has that name."""


class TaskRunningError(TaskError):
    """The task is already running, and a task never overlaps itself (law 2)."""


class StoreError(JarvisError):
    """The database cannot be used."""


class StoreMissingError(StoreError, FileNotFoundError):
    """The database is not there."""


class StoreClosedError(StoreError):
    """The database was closed: the process ends, or whoever opened it is done with it."""


class StoreBusyError(StoreError):
    """Another program held the database's write lock for too long."""


class StoreFullError(StoreError):
    """The disk that holds the database is full."""


class StoreUnsureError(StoreError):
    """The answer to a COMMIT was lost: the transaction may count, or be undone."""


class ConflictError(StoreError):
    """The database refuses a row: its key is taken, or a rule of another program forbids it.

    `duplicate` says that it is the key.
    """

    def __init__(self, says: str = "", *, fix: str = "", duplicate: bool = False) -> None:
        super().__init__(says, fix=fix)
        self.duplicate = duplicate


class HandlerError(JarvisError):
    """A handler could not do its work; its run ends as `error`."""


class HandlerTimeoutError(HandlerError):
    """A handler stopped itself at its time limit; its run ends as `timeout`."""


class HandlerSkippedError(HandlerError):
    """A handler cannot do this task's work at all; its run ends as `skipped`, with this reason."""


class NotApprovedError(HandlerError):
    """A row names an executable that nobody approved."""


class DeliveryError(JarvisError):
    """A result could not be handed to its channel; it never fails the run."""


class ServiceError(JarvisError):
    """The daemon's service could not be checked, installed, changed or removed."""


class LaunchdError(ServiceError):
    """launchd, or what the launchd agent needs, stands in the way."""


class SystemdError(ServiceError):
    """systemd, or what the systemd unit needs, stands in the way."""


class DaemonMissingError(JarvisError):
    """No daemon runs, and what was asked for needs one."""


class AlreadyRunningError(JarvisError):
    """Another daemon holds this data folder's lock."""
