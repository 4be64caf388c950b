from __future__ import annotations

import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import pixelcluster
from pixelcluster.cli import main
from pixelcluster.cli.main import COMMANDS, cli
from pixelcluster.errors import PixelClusterError, PixelClusterWarning

HEAVY = (
    "torch",
    "numpy",
    "PIL",
    "cv2",
    "timm",
    "sklearn",
    "skimage",
    "scipy",
    "albumentations",
    "pydantic",
    "rich",
)


def program(*arguments: str) -> str:
    return "\n".join(
        [
            f"import sys; sys.argv = ['pixelcluster', *{list(arguments)!r}]",
            "from pixelcluster.cli.main import main",
            "try: main()",
            "except SystemExit: pass",
            f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)",
        ]
    )


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("segment", "--help"), ("train", "--help"), ("completion", "bash")],
)
def test_help_and_version_import_nothing_heavy(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program(*arguments)], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"
    assert done.stdout


def test_version_is_quick() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output.strip().endswith(pixelcluster.__version__)
    seconds = []
    for arguments in (["-c", "pass"], ["-m", "pixelcluster", "--version"]):
        tries = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            tries.append(time.perf_counter() - start)
        seconds.append(min(tries))
    assert seconds[1] - seconds[0] < 0.3


def test_a_plain_segment_imports_none_of_the_slow_libraries(photo: Callable[..., Path]) -> None:
    path = photo("flat.png")
    code = program("segment", str(path), "-k", "1")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(eval(done.stderr.splitlines()[-1]))
    assert loaded <= {"numpy", "PIL", "rich"}


def test_every_command_has_help_with_an_example() -> None:
    for name, (_, summary) in COMMANDS.items():
        result = CliRunner().invoke(cli, [name, "--help"])
        assert result.exit_code == 0
        assert f"pixelcluster {name} " in result.output.split("Usage")[1].split("\n", 1)[1]
        assert summary in result.output
    assert CliRunner().invoke(cli, ["nothing"]).exit_code == 2


def fail_with(error: BaseException) -> Callable[..., None]:
    def describe(*_: object) -> None:
        raise error

    return describe


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (PixelClusterError("x: bad; do y"), 1, "error: x: bad; do y"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "error: not enough memory; use smaller images, or close other programs"),
    ],
)
def test_how_commands_end(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    monkeypatch.setattr("pixelcluster.io.describe.describe", fail_with(error))
    result = CliRunner().invoke(cli, ["info", "x"])
    assert result.exit_code == code
    assert result.stderr.splitlines() == [line]


def test_unexpected_errors_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixelcluster.io.describe.describe", fail_with(ZeroDivisionError()))
    assert isinstance(CliRunner().invoke(cli, ["info", "x"]).exception, ZeroDivisionError)


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m pixelcluster --help | true"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell])
    assert result.exit_code == 0
    assert "_PIXELCLUSTER_COMPLETE" in result.output


def test_completion_knows_commands_and_options() -> None:
    environment = {
        "_PIXELCLUSTER_COMPLETE": "bash_complete",
        "COMP_WORDS": "pixelcluster segment --pro",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pixelcluster"], env=environment, capture_output=True, text=True, check=False
    )
    assert "--probabilities" in done.stdout


def test_our_warnings_take_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.setattr(main, "cli", lambda **options: None)
    main.main()
    assert warnings.formatwarning("dark", PixelClusterWarning, "f.py", 3) == "warning: dark\n"
    assert "f.py:3: UserWarning: dark" in warnings.formatwarning("dark", UserWarning, "f.py", 3)


def test_a_mistyped_command_gets_the_nearest() -> None:
    result = CliRunner().invoke(cli, ["segmnt", "x.png"])
    assert result.exit_code == 2
    assert "No such command 'segmnt'. Did you mean 'segment'?" in result.stderr
    assert "Did you mean" not in CliRunner().invoke(cli, ["nothing"]).stderr


def test_options_stand_under_headings_once_each() -> None:
    text = CliRunner().invoke(cli, ["segment", "--help"]).output.partition("\nOptions:")[2]
    places = [text.index(word) for word in ("--model DIR", "Overlays:\n", "--no-legend", "Rasters:\n")]
    assert places == sorted(places)
    command = cli.get_command(click.Context(cli), "segment")
    assert command is not None
    names = {param.name for param in command.params}
    assert {name for section in command.sections.values() for name in section} <= names  # type: ignore[attr-defined]
    for param in command.params:
        if isinstance(param, click.Option):
            assert text.count(f"\n  {', '.join(param.opts)} ") == 1, param.opts
