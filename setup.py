"""What pyproject.toml cannot say: a wheel is built from the source alone.

setuptools leaves a copy in build/lib and adds to it. After an upgrade in the same folder, a wheel
would hold modules that the new version does not have, and packages that shadow its modules.
"""

from __future__ import annotations

import shutil

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildFromNothing(build_py):
    """Copies the package into an empty folder."""

    def run(self) -> None:
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


setup(cmdclass={"build_py": BuildFromNothing})
