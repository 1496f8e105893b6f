"""A disk so small that it can be filled at will."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SIZE_MEGABYTES = 64
_CHUNK = bytes(1 << 20)


class SmallDisk:
    """A tmpfs mounted on a folder. Raises OSError where that is not allowed here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = f"size={_SIZE_MEGABYTES}m,mode=0700"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OSError(done.stderr.strip() or "mount failed")

    @contextmanager
    def filled(self) -> Iterator[None]:
        """No byte more fits on the disk while the context lasts."""
        ballast = self._folder / "ballast"
        try:
            with suppress(OSError), ballast.open("wb", buffering=0) as file:
                for size in (len(_CHUNK), 4096, 1):
                    with suppress(OSError):
                        while file.write(_CHUNK[:size]):
                            pass
            yield
        finally:
            ballast.unlink()

    def remove(self, *, keep: bool) -> None:
        """Unmount it; what is on it goes, or stays as a plain folder."""
        kept = self._folder.with_name("kept")
        if keep:
            shutil.copytree(self._folder, kept)
        subprocess.run(["umount", "-l", str(self._folder)], check=True)
        if keep:
            self._folder.rmdir()
            kept.rename(self._folder)
