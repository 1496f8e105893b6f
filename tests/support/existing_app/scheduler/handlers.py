import asyncio
import json
import os
import sys
import threading
import time

import config

_one_at_a_time = threading.Lock()


def run_handler(task, store):
    """Runs what the task names; it must never meet itself or another."""
    assert _one_at_a_time.acquire(blocking=False), "two ticks at a time"
    try:
        return json.dumps({"status": "ok", **globals()[f"_{task.handler_type}"](store)})
    finally:
        _one_at_a_time.release()


def _brief(store):
    """As the assistant asks several services at once."""

    async def gather():
        return await asyncio.gather(*(asyncio.sleep(0.01, result=number) for number in range(3)))

    return {"answers": asyncio.run(gather())}


def _where(store):
    print("a word on stdout")
    return {"data": str(config.DATA_DIR), "owner": config.OWNER, "folder": os.getcwd()}


def _reports(store):
    return {"status": "error", "error": "no disk"}


def _slow(store):
    store.note("slow: begun")
    time.sleep(0.5)
    store.note("slow: done")
    return {}


def _leaves(store):
    sys.exit("a handler that leaves")


def _breaks(store):
    raise RuntimeError("a handler that breaks")
