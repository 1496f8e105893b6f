"""Print the packages in a venv that no requirements file here names: those that its user added.

Usage: beside.py VENV REQUIREMENTS_FOLDER. Any Python 3 runs it, also one without our packages.
"""

import re
import sys
from pathlib import Path

OURS = {"jarvis_trio", "pip", "setuptools", "wheel"}


def plain(name: str) -> str:
    """A name as the packaging specifications compare it."""
    return re.sub("[-_.]+", "_", name).lower()


def main(venv: Path, requirements: Path) -> None:
    """Print the names on one line, or nothing."""
    known = set(OURS)
    for file in requirements.glob("*.txt"):
        known |= {plain(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", file.read_text("utf-8"), re.MULTILINE)}
    found = {path.name.partition("-")[0] for path in venv.glob("lib/python*/site-packages/*.dist-info")}
    print(*sorted(name for name in found if plain(name) not in known))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
