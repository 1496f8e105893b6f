"""Real processes: what a Python handler started ends with its process, also after `kill -9`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from jarvis_trio.handlers.family import is_alive
from jarvis_trio.handlers.processes import end_orphans
from tests.support.cli_world import eventually

pytestmark = [pytest.mark.slow, pytest.mark.law(2)]

PARENT = """
import multiprocessing, os, subprocess, sys, threading, time
from jarvis_trio.process.identity import current_owner
from jarvis_trio.process.offspring import bind_offspring

def tell(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def wait():
    tell("child", os.getpid())
    time.sleep(600)

def fork():
    if os.fork() == 0:
        wait()

def fork_twice():
    if os.fork() == 0:
        os.setsid()
        fork()
        os._exit(0)

def close_all_and_fork():
    if os.fork() == 0:
        os.closerange(3, 100)
        mine = os.open(sys.executable, os.O_RDONLY), os.open(sys.executable, os.O_RDONLY)
        if (child := os.fork()) == 0:
            os._exit(all(os.fstat(file) for file in mine) is not True)
        if os.waitpid(child, 0)[1] == 0:
            wait()

def multi():
    multiprocessing.get_context("fork").Process(target=wait).start()

def start():
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    tell("child", child.pid)

bind_offspring()
thread = threading.Thread(target=globals()[sys.argv[1]])
thread.start()
thread.join()
tell("owner", current_owner())
time.sleep(600)
"""


class Parent:
    """A process that starts another one from a thread which then ends."""

    def __init__(self, way: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", PARENT, way], env=environment, stdout=subprocess.PIPE, text=True
        )
        self.owner, self.children = "", list[psutil.Process]()
        assert self._process.stdout is not None
        while not (self.children and self.owner):
            what, word = self._process.stdout.readline().split()
            if what == "owner":
                self.owner = word
            else:
                self.children.append(psutil.Process(int(word)))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@pytest.fixture
def parents() -> Iterator[list[Parent]]:
    parents: list[Parent] = []
    yield parents
    for parent in parents:
        parent.kill()
        for child in parent.children:
            with suppress(psutil.Error):
                child.kill()


@pytest.mark.parametrize("way", ["fork", "fork_twice", "multi", "close_all_and_fork"])
def test_law_2_what_a_thread_forked_lives_after_that_thread_and_ends_with_its_process(
    parents: list[Parent], way: str
) -> None:
    parent = Parent(way)
    parents.append(parent)
    [child] = parent.children
    assert is_alive(child)
    parent.kill()
    eventually(lambda: not is_alive(child))


def test_law_2_a_program_that_a_handler_started_is_found_when_its_process_is_dead(parents: list[Parent]) -> None:
    parent = Parent("start")
    parents.append(parent)
    [child] = parent.children
    parent.kill()
    assert is_alive(child)
    assert end_orphans(parent.owner).ended == 1
    assert not is_alive(child)
