"""The floor of a daemon on trio: a loop that sleeps and calls nothing in a thread."""

from __future__ import annotations

import signal

import trio
from protocol import answer, tell


async def sleep_and_call(seconds: float) -> None:
    """Forever: sleep, and have a thread do nothing."""
    while True:
        await trio.sleep(seconds)
        await trio.to_thread.run_sync(lambda: None)


async def bare(folder: str) -> None:
    """Do nothing until SIGTERM: what an import of trio and an open nursery take."""
    with trio.open_signal_receiver(signal.SIGTERM) as received:
        tell("ready")
        async for _ in received:
            return


async def idle(folder: str, seconds: float) -> None:
    """Sleep and call until SIGTERM."""
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGTERM) as received:
            nursery.start_soon(sleep_and_call, seconds)
            tell("ready")
            async for _ in received:
                nursery.cancel_scope.cancel()


if __name__ == "__main__":

    def run(seconds: float | None = None, **arguments: str) -> None:
        """The daemon that calls a thread every `seconds`, or the one that does nothing."""
        trio.run(lambda: bare(**arguments) if seconds is None else idle(seconds=seconds, **arguments))

    answer({"idle": run})
