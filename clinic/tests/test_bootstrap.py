"""What `manage.py` promises where nothing but Python is installed: tried in a copy, without a network."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASE = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"

UP = """
import sys
def check(args):
    if args == ["--refuse"]:
        raise SystemExit("refused before anything was made")
if __name__ == "__main__":
    print("up ran", *sys.argv[1:])
"""


def wheel(folder: Path, name: str, version: str) -> str:
    """Make a package whose `python -m NAME` tells its arguments and ends with 3; its line of requirements."""
    file = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    main = f"import sys; print('{name} {version} ran', *sys.argv[1:]); sys.exit(3)"
    files = {
        f"{name}/__init__.py": "",
        f"{name}/__main__.py": main,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]))
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout with manage.py, the bootstrap, a toy `up`, and two requirements that need no network."""
    home = tmp_path / "checkout"
    (home / "clinic" / "dev").mkdir(parents=True)
    (tmp_path / "wheels").mkdir()
    shutil.copy(ROOT / "manage.py", home)
    for name in ("__init__.py", "dev/__init__.py", "dev/bootstrap.py"):
        shutil.copy(ROOT / "clinic" / name, home / "clinic" / name)
    (home / "clinic" / "dev" / "up.py").write_text(UP)
    (home / "requirements.txt").write_text(wheel(tmp_path / "wheels", "toy", "1"))
    (home / "requirements-dev.txt").write_text(wheel(tmp_path / "wheels", "pytest", "1"))
    return home


def bare(home: Path, *args: str, python: Path = BASE) -> subprocess.Popen[str]:
    """Start `python3 manage.py …` as on a bare machine; pip sees the folder `wheels` and no network."""
    wheels = str(home.parent / "wheels")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home.parent),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": wheels,
    }
    return subprocess.Popen(
        [python, "-S", "manage.py", *args],
        cwd=home,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(process: subprocess.Popen[str], code: int) -> str:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == code, out
    return out


def pretending(home: Path, pretence: str, *args: str) -> str:
    """What a refusing `manage.py` says when the interpreter is first told to pretend something."""
    prepare = f"from clinic.dev import bootstrap; bootstrap.prepare(['manage.py', *{list(args)}])"
    script = f"import sys; {pretence}; {prepare}"
    done = subprocess.run([BASE, "-S", "-c", script], cwd=home, capture_output=True, text=True, env={})
    assert done.returncode == 1
    return done.stdout + done.stderr


def test_two_at_once_install_once_and_later_runs_install_only_what_is_new(copy: Path) -> None:
    both = [bare(copy, "test", "some", "arguments") for _ in range(2)]
    first, second = (said(process, 3) for process in both)  # pytest's exit code
    assert (first + second).count("Making the virtual environment") == 1
    assert (first + second).count("Installing 2 packages") == 1
    assert first.endswith("pytest 1 ran some arguments\n")
    assert second.endswith("pytest 1 ran some arguments\n")

    assert said(bare(copy, "test"), 3) == "pytest 1 ran\n"
    assert (
        said(bare(copy, "up", "--port", "1"), 0) == "up ran --port 1\n"
    )  # nor back and forth between the two

    (copy / "requirements-dev.txt").write_text(wheel(copy.parent / "wheels", "pytest", "2"))
    again = said(bare(copy, "test"), 3)
    assert "Making" not in again
    assert again.endswith("pytest 2 ran\n")

    shutil.rmtree(copy.parent / "wheels")  # now there is nothing to install from
    (copy / "requirements.txt").write_text("toy==3 --hash=sha256:" + "0" * 64)
    failed = said(bare(copy, "up"), 1)
    assert (
        "The packages could not be installed (is there a network?): ERROR: No matching distribution" in failed
    )
    assert "Traceback" not in failed


def test_an_interrupted_installation_heals_and_a_moved_one_is_made_anew(copy: Path) -> None:
    process = bare(copy, "up")
    deadline = time.monotonic() + 30
    while not (copy / ".venv" / "bin" / "python").exists():  # half-made, pip is not there yet
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert said(bare(copy, "up"), 0).endswith("up ran\n")

    moved = copy.rename(copy.with_name("elsewhere"))  # its scripts now name a Python that is not there
    assert "cannot make virtual environments" in pretending(moved, "sys.modules['ensurepip'] = None", "up")


@pytest.mark.parametrize(
    ("pretence", "words"),
    [
        (
            "sys.version_info = (3, 10, 4, 'final', 0)",
            "Python 3.11, 3.12 or 3.13 is needed; this is Python 3.10.\n",
        ),
        (
            "sys.version_info = (3, 14, 0, 'final', 0)",
            "Python 3.11, 3.12 or 3.13 is needed; this is Python 3.14.\n",
        ),
        ("sys.modules['ensurepip'] = None", "install the package python3-venv (`apt install python3-venv`)"),
        ("import os; os.access = lambda *_: False", "This folder cannot be written to: "),
    ],
)
def test_a_machine_that_will_not_do_gets_a_sentence(copy: Path, pretence: str, words: str) -> None:
    out = pretending(copy, pretence, "up")
    assert words in out
    assert out.count("\n") == 1
    assert not (copy / ".venv").exists()


def test_what_up_would_refuse_is_refused_before_anything_is_made(copy: Path) -> None:
    assert said(bare(copy, "up", "--refuse"), 1) == "refused before anything was made\n"
    assert sorted(path.name for path in copy.iterdir() if path.name.startswith(".")) == []


def test_other_commands_run_in_the_environment_that_up_made(copy: Path) -> None:
    assert said(bare(copy, "tick"), 1) == "Nothing is installed yet: run `python3 manage.py up`.\n"
    python = copy / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "the environment ran $*"\n')
    python.chmod(0o755)
    assert said(bare(copy, "tick", "--now", "x"), 0) == "the environment ran manage.py tick --now x\n"
