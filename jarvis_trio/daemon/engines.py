"""One adapter that makes any engine total: whatever it is and does, each question has an answer.

This is the daemon's border of law 4. An engine may be another program's, or a mock; a
method may be missing, not callable, or raise anything up to `SystemExit`, which would end
the nursery. Everything about that stands here, so the loop has no guesses in it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Protocol, TypeVar

from jarvis_trio.errors import JarvisError
from jarvis_trio.notation.instants import as_utc
from jarvis_trio.notation.text import error_text, error_words
from jarvis_trio.process.watch import Watch

_logger = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")
_NOT_SAID = "The engine could not say what is due next"

Results = list[dict[str, Any]]


class Engine(Protocol):
    """What the daemon asks of an engine; an existing one fits unchanged.

    It may also offer:

    - `next_due_at() -> datetime | None` (aware UTC, naive ones are local). The daemon then
      sleeps until that instant if it comes before the interval is over.
    - `known_due_at() -> datetime | None`, the same as of the engine's last look. The daemon asks
      it after a tick that did nothing, and then does not have the engine look again.
    - `allows_concurrent_ticks = True`. Up to `max_concurrent_ticks` calls then overlap.
    - `tell_due = None`. The daemon sets it to a function, which the engine calls in each tick as
      soon as it has claimed work, with what is due next. Then it is not asked meanwhile. If it
      offers `known_due_at` too, a call that comes late does not hide what is known by then.
    - `let_run(at_once)`, which the daemon calls before the first tick: that many runs may be
      under way at once. A tick may then have several, and the ticks share the number.
    - `others_write() -> bool`, whether another program may be committing just now what a look does
      not see yet. The daemon then has it look again soon.
    - `load_the_rest()`, called once, in a thread, when the first tick has ended. It imports what
      later ones may need, since an upgrade exchanges the files under a daemon.
    - `running() -> list[tuple[str, datetime]]`, the names of what runs, for the log.
    - `finish()`, which is called at the end, when the last tick has ended.
    - `deliver_due() -> bool`, which sends one message and says whether there was one to send.
      The daemon then calls it beside the ticks, in threads that it leaves alone when they
      hang, and sets the engine's `delivers_itself` to False meanwhile. With it come
      `next_delivery_at() -> datetime | None` and `delivery_deadline` (timedelta).
    - `obeys_requests = True`. The daemon then calls `obey_run() -> bool` and `obey_stop() -> bool`,
      each of which does one thing that people ask for and says whether there was one; and, after
      `next_due_at`, `is_asked() -> bool`, whether there is one.
    - `logs_runs = True`. The daemon then logs nothing about what a tick did.
    """

    def evaluate_due_tasks(self) -> list[dict[str, Any]]:
        """Run what is due now; return one mapping with a `status` for each task."""


class TotalEngine:
    """An engine that never raises and always answers.

    Args:
        engine: any object.
        zone: the machine's zone at this moment, for the naive instants of an engine.

    Attributes:
        overlaps: whether several ticks may run at the same time.
        tells: whether it says by itself, while it ticks, what is due next.
        delivers: whether messages are sent by calls of their own.
        obeys: whether people can ask it for runs and stops.
        logs_runs: whether it logs how its runs ended.
        due_at: what the engine said, after its last tick, is due next (aware UTC).
        delivery_at: when it said that a message is to be sent (aware UTC).
        is_asked: whether, after its last tick, somebody asked for something.
        is_settled: whether its last look saw all that was forgotten before it (`before_look`); if
            not, somebody was committing, and another look is needed.
    """

    def __init__(self, engine: object, zone: Callable[[], tzinfo]) -> None:
        self._engine = engine
        self._zone = zone
        self._last_failure: str | None = None
        self._failed_with: str | None = None
        self._looks = threading.Lock()
        self.overlaps = self._offered("allows_concurrent_ticks") is True
        self.tells = self._offers("tell_due")
        self.delivers = callable(self._offered("deliver_due")) and callable(self._offered("next_delivery_at"))
        self.obeys = self._offered("obeys_requests") is True
        self.logs_runs = self._offered("logs_runs") is True
        self._knows = callable(self._offered("known_due_at"))
        self.is_asked = False
        self.is_settled = True
        self.before_look: Callable[[], object] = lambda: None
        self.due_at: datetime | None = None
        self.delivery_at: datetime | None = None

    def evaluate(self) -> Results:
        """One tick. Returns what the engine returned as a list; an empty one if it raised."""
        knows = self._knows
        try:
            results = list(self._engine.evaluate_due_tasks() or ())  # type: ignore[attr-defined]  # any object
            self._failed_with = None
        except BaseException as error:  # noqa: BLE001  # border of law 4: also SystemExit, which would end the nursery
            self._failed_with = error_words(error)
            self.log_failed_tick(error)
            results, knows = [], False

        # Asked here, since another change of threads costs more than an idle tick.
        if knows and not results:
            with self._looks:
                self._note_look(self._ask("known_due_at", self._instant, None, _NOT_SAID))
        else:
            self.look()
        return results

    def look(self) -> None:
        """Ask the engine what is due, what it has to send, and whether there is a request.

        One look follows the other, and so does what a tick tells: an older answer, from before
        another tick's last write, would take the place of the newer one.
        """
        with self._looks:
            self.before_look()
            # Between the two: a commit that is over by now is seen, and one that goes on is told.
            self.is_settled = not self._ask("others_write", _is_true, False, None)
            self._note_look(self.next_due_at())

    def _note_look(self, due_at: datetime | None) -> None:
        self.due_at = due_at
        self.delivery_at = self.next_delivery_at()
        self.is_asked = self.obeys and self._says_it_is_asked()

    def next_due_at(self) -> datetime | None:
        """When the engine wants the next tick (aware UTC); None if it does not say."""
        return self._ask("next_due_at", self._instant, None, _NOT_SAID)

    def tell(self, hear: Callable[[], object]) -> None:
        """Have `hear` called when a tick tells what is due, in the engine's thread; it may raise.

        `due_at`, `delivery_at` and `is_asked` are then as of the engine's last look: a run that has
        ended may have left a message, while a longer one of its tick goes on.
        """

        def told(at: datetime | None) -> None:
            with self._looks:
                self._note_look(self._not_later_than_known(self._instant(at)))
            hear()

        with suppress(BaseException):  # border of law 4: an engine with slots refuses
            self._engine.tell_due = told  # type: ignore[attr-defined]  # any object

    def _not_later_than_known(self, at: datetime | None) -> datetime | None:
        """What a tick tells may be of an older look than the engine's last one, if it was held up.

        The earlier of the two counts. The engine says "now" if it could not look, and a tick too
        many does nothing.
        """
        known = self._ask("known_due_at", self._instant, None, _NOT_SAID) if self._knows else None
        return min(filter(None, (at, known)), default=None)

    def let_run(self, at_once: int) -> None:
        """Let the engine have that many runs under way at once, if it wants to know."""
        with suppress(BaseException):  # border of law 4: whatever it does about that, it ticks
            self._engine.let_run(at_once)  # type: ignore[attr-defined]  # any object

    def load_the_rest(self) -> None:
        """Let the engine import what later ticks may need."""
        self._ask("load_the_rest", lambda answer: None, None, "The engine could not be loaded as a whole")

    def deliver(self) -> bool:
        """Send one message. Returns whether there was one to send; False if the engine raised."""
        return self._ask("deliver_due", _is_true, False, "A message could not be dealt with")

    def next_delivery_at(self) -> datetime | None:
        """When there is a message to send (aware UTC); None if there is none."""
        if not self.delivers:
            return None
        return self._ask("next_delivery_at", self._instant, None, "The engine could not say what it has to send")

    def look_for_letters(self) -> None:
        """Note when there is a message to send; by `looks`, as all that is noted."""
        with self._looks:
            self.delivery_at = self.next_delivery_at()

    def delivery_deadline(self, otherwise: timedelta) -> timedelta:
        """How long the engine lets one delivery last; `otherwise` if it does not say."""
        offered = self._offered("delivery_deadline")
        return offered if isinstance(offered, timedelta) else otherwise

    @contextmanager
    def deliveries_taken_over(self) -> Iterator[None]:
        """Within the block the engine's ticks leave its messages to `deliver`."""
        self._set_delivers_itself(False)
        try:
            yield
        finally:
            self._set_delivers_itself(True)

    def look_for_requests(self) -> bool:
        """Whether somebody asks for something that nobody has taken on."""
        self.next_due_at()  # which looks at the queue; the answer is as of the last look
        return self._says_it_is_asked()

    def obey_run(self) -> bool:
        """Make one run that somebody asks for, to its end. Returns whether there was one."""
        made = self._ask("obey_run", _is_true, False, "A run that was asked for could not be made")
        self.look_for_letters()
        return made

    def obey_stop(self) -> bool:
        """Stop one run, if somebody asks for that. Returns whether there was one."""
        return self._ask("obey_stop", _is_true, False, "A run could not be stopped")

    def watched_files(self) -> tuple[Path, ...]:
        """The files in which other programs' writes show."""
        return self._ask("watched_files", lambda files: tuple(map(Path, files)), (), None)

    def make_watch(self) -> Watch | None:
        """What tells more of others' writes than the files do, if the engine has it."""
        found: Watch | None = self._ask("make_watch", lambda watch: watch, None, None)
        return found

    def running(self) -> list[tuple[str, datetime]]:
        """What runs, and since when (aware UTC), as far as the engine says."""
        return self._ask("running", self._pairs, [], None)

    def busy_until(self) -> datetime | None:
        """When what runs is over at the latest (aware UTC), if the engine says."""
        return self._ask("busy_until", self._instant, None, None)

    def finish(self) -> None:
        """Let the engine write what it has kept back."""
        self._ask("finish", lambda answer: None, None, "The engine could not finish")

    def log_failed_tick(self, error: BaseException) -> None:
        """Log one line for each failed tick.

        A traceback follows only if the error is new and not one of ours.
        """
        text = error_words(error)
        is_new = not isinstance(error, JarvisError) and text != self._last_failure
        self._last_failure = text
        _logger.error("The tick failed: %s", text, exc_info=error if is_new else None)

    def _says_it_is_asked(self) -> bool:
        return self._ask("is_asked", _is_true, False, None)

    def _set_delivers_itself(self, value: bool) -> None:
        # border of law 4: an engine with slots refuses
        with suppress(BaseException):
            self._engine.delivers_itself = value  # type: ignore[attr-defined]  # any object

    def _offers(self, name: str) -> bool:
        try:
            return hasattr(self._engine, name)
        except BaseException:  # noqa: BLE001  # border of law 4: a property may raise anything
            return False

    def _offered(self, name: str) -> Any:
        try:
            return getattr(self._engine, name, None)
        except BaseException:  # noqa: BLE001  # border of law 4: a property may raise anything
            return None

    def _ask(self, name: str, read: Callable[[Any], _Answer], otherwise: _Answer, complaint: str | None) -> _Answer:
        """What `read` makes of the engine's answer; `otherwise` if the engine has no answer.

        A failure is logged with the complaint, unless it is what the last tick failed of; None logs
        nothing.
        """
        method = self._offered(name)
        if not callable(method):
            return otherwise
        try:
            return read(method())
        except BaseException as error:  # noqa: BLE001  # border of law 4: the loop goes on without that answer
            if complaint is not None and error_words(error) != self._failed_with:
                _logger.error("%s: %s", complaint, error_text(error))
            return otherwise

    def _instant(self, answer: object) -> datetime | None:
        if answer is None:
            return None
        if not isinstance(answer, datetime):
            raise TypeError(f"it answered {answer!r}, not a datetime")
        return answer if answer.tzinfo is UTC else as_utc(answer, self._zone())

    def _pairs(self, answer: Iterable[tuple[object, datetime]]) -> list[tuple[str, datetime]]:
        return [(str(name), as_utc(at, self._zone())) for name, at in answer]


def _is_true(answer: object) -> bool:
    """Only True counts: a mock says something like yes to every question, forever."""
    return answer is True
