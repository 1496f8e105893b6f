"""The program as a package: what a wheel holds, and that it works beside other programs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from jarvis_trio import __version__

CHECKOUT = Path(__file__).parents[2]
BESIDE = CHECKOUT / "requirements/beside.py"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy as it is committed, with the setuptools that is here."""
    pytest.importorskip("setuptools")
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    for name in ("jarvis_trio", "pyproject.toml", "setup.py", "README.md", "LICENSE", "config.py"):
        (copy / name).symlink_to(CHECKOUT / name)
    (copy / "build/lib/jarvis_trio/engine_of_before").mkdir(parents=True)
    (copy / "build/lib/jarvis_trio/engine_of_before/__init__.py").touch()
    build = "from setuptools.build_meta import build_wheel; import sys; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-W", "ignore", "-c", build, out], cwd=copy, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv with the wheel in it, and the packages of this interpreter beside it."""
    venv = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    site = next(venv.glob("lib/python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv


def run(venv: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_DATA_HOME": str(folder / "xdg")}
    command = [venv / "bin/python", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=180)


@pytest.mark.slow
@pytest.mark.thorough
def test_the_wheel_owns_one_top_level_name(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"jarvis_trio"}


@pytest.mark.slow
@pytest.mark.thorough
def test_nothing_of_an_earlier_build_in_the_same_folder_is_in_the_wheel(wheel: Path) -> None:
    assert [name for name in zipfile.ZipFile(wheel).namelist() if "engine_of_before" in name] == []


@pytest.mark.slow
@pytest.mark.thorough
def test_the_wheel_names_its_version_its_extras_and_its_program(wheel: Path) -> None:
    packed = zipfile.ZipFile(wheel)
    folder = next(name.split("/")[0] for name in packed.namelist() if ".dist-info/" in name)
    assert {"jarvis_trio/py.typed", f"{folder}/licenses/LICENSE"} <= set(packed.namelist())
    metadata = message_from_bytes(packed.read(f"{folder}/METADATA"))
    assert (metadata["Name"], metadata["Version"]) == ("jarvis-trio", __version__)
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra", [])) == {"apprise", "mcp", "postgres", "watch"}
    entries = packed.read(f"{folder}/entry_points.txt").decode()
    assert "[console_scripts]\njarvis-trio = jarvis_trio.__main__:run\n" in entries


@pytest.mark.slow
@pytest.mark.thorough
def test_every_module_is_in_the_wheel(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("jarvis_trio/")}
    there = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "jarvis_trio").rglob("*.py")}
    assert there <= packed


@pytest.mark.slow
@pytest.mark.thorough
def test_an_installed_program_keeps_its_data_in_the_users_place(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "-m", "jarvis_trio", "init")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "xdg/jarvis/memory.db").is_file()


@pytest.mark.slow
@pytest.mark.thorough
def test_another_programs_config_is_neither_run_nor_read_nor_hidden(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("print('it ran')\nDATA_DIR = '/elsewhere'\n")
    done = run(installed, tmp_path, "-m", "jarvis_trio", "settings")
    assert (done.returncode, done.stderr) == (0, "")
    assert "it ran" not in done.stdout
    assert "/elsewhere" not in done.stdout
    assert run(installed, tmp_path, "-c", "import config").stdout == "it ran\n"


def test_the_packages_that_a_user_added_are_named(tmp_path: Path) -> None:
    site = tmp_path / "lib/python3.11/site-packages"
    for name in ("trio-0.35.0", "pip-24.0", "jarvis_trio-2.0.0", "my_handlers-1.0", "typing_extensions-4.0"):
        (site / f"{name}.dist-info").mkdir(parents=True)
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    (requirements / "run.txt").write_text("trio==0.35.0 \\\n    --hash=sha256:00\n")
    (requirements / "dev.txt").write_text("typing-extensions==4.0\n")
    done = subprocess.run([sys.executable, BESIDE, tmp_path, requirements], capture_output=True, text=True, check=True)
    assert done.stdout == "my_handlers\n"


def test_no_document_installs_the_program_from_a_package_index() -> None:
    pages = [*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md"), *CHECKOUT.glob("examples/*.md")]
    offers = (
        "pip install jarvis-trio",
        "pip install 'jarvis-trio",
        "pipx install jarvis-trio",
        "uv tool install jarvis",
    )
    assert [page.name for page in pages for offer in offers if offer in page.read_text("utf-8")] == []


def test_each_extra_is_named_everywhere_with_the_same_versions() -> None:
    extras = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {requirement for [requirement] in extras.values()}
    names = "|".join(re.escape(re.split("[<>=]", requirement)[0]) for requirement in sorted(wanted))
    files = [*CHECKOUT.glob("docs/*.md"), *(CHECKOUT / "jarvis_trio").rglob("*.py")]
    named = {found for file in files for found in re.findall(rf"(?:{names})[<>=]=?[\d.]+(?:,<\d+)?", file.read_text())}
    assert named == wanted
