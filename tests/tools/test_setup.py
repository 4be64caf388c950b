from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "setup.sh"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout without .venv, so that nothing here can reach the real one."""
    (tmp_path / "tools").mkdir()
    shutil.copy(SCRIPT, tmp_path / "tools")
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def run(project: Path, *arguments: str, python: str = "python3") -> subprocess.CompletedProcess[str]:
    command = ["bash", str(project / "tools" / "setup.sh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHON": python})


def fake(path: Path, script: str) -> Path:
    """Write an executable that plays Python."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{script}\n")
    path.chmod(0o755)
    return path


def test_an_unknown_extra_is_one_line(project: Path) -> None:
    result = run(project, "tests")
    assert result.returncode == 1
    assert result.stderr == "error: no extra is called 'tests'; wanted test, dev or nothing\n"


def test_a_missing_python_is_one_line(project: Path) -> None:
    result = run(project, python="python3.99")
    assert result.returncode == 1
    assert result.stderr.startswith("error: python3.99 was not found")


def test_an_old_python_is_one_line(project: Path) -> None:
    old = fake(project / "old", '[[ $1 == --version ]] && echo "Python 3.8.1" || exit 1')
    result = run(project, python=str(old))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "is Python 3.8.1, 3.10 or newer is wanted" in result.stderr
    assert not (project / ".venv").exists()


@pytest.mark.parametrize(
    ("loads", "left", "said"),
    [
        ("opencv-python opencv-python-headless", "opencv-python", "OpenCV: opencv-python 4.9"),
        ("opencv-python-headless", "opencv-python-headless", "OpenCV: opencv-python-headless 4.9"),
    ],
)
def test_one_opencv_is_left(project: Path, loads: str, left: str, said: str) -> None:
    # Plays pip: packages are files, each install writes one; cv2 loads if the only one is among `loads`.
    fake(
        project / ".venv" / "bin" / "python",
        f"""
        cd {project}/.venv
        case "$*" in
            *"import sys"* | "-m pip --version") ;;
            *"import cv2"*) set -- opencv*; [[ $# == 1 && " {loads} " == *" $1 "* ]] ;;
            *--editable*) touch opencv-python opencv-python-headless ;;
            *list*) for name in opencv*; do echo "$name==4.9"; done ;;
            *uninstall*) rm -f opencv* ;;
            *install*==4.9) name=${{*: -1}}; touch "${{name%==*}}" ;;
            *) exit 9 ;;
        esac
        """,
    )
    result = run(project)
    assert result.returncode == 0, result.stderr
    assert [path.name for path in (project / ".venv").glob("opencv*")] == [left]
    assert result.stdout.splitlines()[-1].startswith(said)
    assert run(project).stdout == ".venv is up to date\n"
    assert run(project, "test").stdout != ".venv is up to date\n"
    assert run(project).stdout == ".venv is up to date\n"
