"""What the documents show exists and runs."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import create_autospec

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import pixelcluster
from pixelcluster.cli.main import COMMANDS, cli
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.variational.image import VariationalClustering

ROOT = Path(__file__).parents[1]
README, CONTRIBUTING, CHANGELOG = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
)
CREDITS = (ROOT / "assets" / "CREDITS.md").read_text(encoding="utf-8")
DOCUMENTS = README + CONTRIBUTING + CREDITS
FIRST = "bash tools/setup.sh && .venv/bin/pixelcluster segment assets/samples/china.jpg -o out/"
SECOND = "bash tools/setup.sh test && .venv/bin/python -m pytest"
NO_FIGURES = {
    "changed", "classes", "folder holds", "method", "name", "settings", "target stack", "tool", "what",
}  # fmt: skip
FIGURE = r"-|<? ?[+-]?\d+(\.\d+)?( \+- \d+(\.\d+)?)?"


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def shell_commands() -> Iterator[list[str]]:
    for block in blocks("sh", DOCUMENTS):
        for line in block.splitlines():
            for command in line.split(" && "):
                yield shlex.split(command, comments=True)


def tables(text: str) -> list[list[list[str]]]:
    lines = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    split = [[row.strip("|\n").split("|") for row in table.splitlines()] for table in lines]
    return [[[cell.strip() for cell in row] for row in table] for table in split]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with assets/ in it, in which the first command has run."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "assets").symlink_to(ROOT / "assets")
    arguments = shlex.split(FIRST.partition(".venv/bin/pixelcluster ")[2])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    return folder


def test_the_two_commands_stand_in_the_readme_and_ci_runs_the_second() -> None:
    assert [block.strip() for block in blocks("sh")[:2]] == [FIRST, SECOND]
    run = (ROOT / ".ci" / "run").read_text()
    assert all(part in run for part in SECOND.split(" && "))


def test_the_first_command_writes_the_files_it_names(checkout: Path) -> None:
    named = set(re.findall(r"`(out/china\w+\.png)`", README))
    assert named == {str(path.relative_to(checkout)) for path in (checkout / "out").iterdir()}


def test_pixelcluster_commands_parse() -> None:
    seen = set()
    for words in shell_commands():
        if words and words[0].endswith("pixelcluster"):
            name = words[1]
            command = cli.get_command(click.Context(cli), name)
            assert command is not None, name
            arguments = words[2 : words.index("|")] if "|" in words else words[2:]
            command.make_context(name, arguments)
            seen.add(name)
    assert {"segment", "train", "info", "export"} <= seen


def test_tools_parse_the_options_shown() -> None:
    lines = [words for words in shell_commands() if words and any(w.startswith("tools/") for w in words)]
    for words in lines:
        script, arguments = words[1], words[2:]
        if script.endswith(".py") and "--help" not in arguments:
            spec = importlib.util.spec_from_file_location(Path(script).stem, ROOT / script)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(sys.modules, spec.name, module)
                spec.loader.exec_module(module)
            module.main.make_context(script, arguments)


def test_the_table_of_commands_is_complete() -> None:
    assert re.findall(r"^\| `pixelcluster (\w+)` \|", README, re.MULTILINE) == list(COMMANDS)


def test_named_files_exist() -> None:
    names = re.findall(
        r"(?<![\w./-])((?:assets|configs|tests|tools|pixelcluster|\.ci|\.github)/[\w./-]*\w/?)", DOCUMENTS
    )
    names += re.findall(r"(?<!/)\b([A-Z]+\.md|LICENSE)\b", DOCUMENTS)
    assert {"tools/setup.sh", "assets/samples/china.jpg", "LICENSE"} <= set(names)
    assert not sorted({name for name in names if not (ROOT / name).exists()})


def test_python_examples_for_one_image_run(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    single, _, reading = blocks("python")[:3]
    found: dict[str, object] = {}
    exec(compile(single, "README.md", "exec"), found)
    result = found["result"]
    assert isinstance(result, pixelcluster.Segmentation)
    assert result.label_map.shape == (427, 640)
    assert (checkout / "overlay.png").exists()
    np.testing.assert_array_equal(pixelcluster.read_label_map("labels.tif"), result.label_map)

    exec(compile(reading, "README.md", "exec"), found)
    for reader in ("same", "also", "own"):
        np.testing.assert_array_equal(found[reader], found["ids"])


def test_the_training_example_fits_the_signatures(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    stand_in = create_autospec(pixelcluster.PixelCluster)
    model = stand_in.return_value
    model.fit.return_value = stand_in.load.return_value = model
    model.predict.return_value = pixelcluster.segment(np.zeros((4, 5, 3)), probabilities=True)
    monkeypatch.setattr(pixelcluster, "PixelCluster", stand_in)
    exec(compile(blocks("python")[1], "README.md", "exec"), {})
    model.predict.assert_called_once()
    stand_in.load.assert_called_once()


def test_the_image_level_examples_run(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    quick = ImageSettings(iterations=2, student_epochs=0, inference_steps=0)
    monkeypatch.setattr("pixelcluster.cluster.estimator.ImageSettings", lambda: quick)
    clustering, variational = blocks("python")[3:]
    found: dict[str, object] = {}
    exec(compile(clustering, "README.md", "exec"), found)
    assert (checkout / "digits" / "model.safetensors").exists()
    small = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    stand_in = create_autospec(VariationalClustering)
    stand_in.return_value.fit.return_value = stand_in.return_value
    monkeypatch.setattr("pixelcluster.variational.image.VariationalClustering", stand_in)
    exec(compile(variational, "README.md", "exec"), {"images_uint8": small})
    stand_in.return_value.predict.assert_called_once()


def test_tables_parse() -> None:
    found = tables(DOCUMENTS)
    assert len(found) >= 7
    for header, rule, *rows in found:
        assert all(re.fullmatch("-{3,}", cell) for cell in rule)
        assert {len(row) for row in rows} == {len(header)} == {len(rule)}, header


def test_benchmark_tables_hold_figures() -> None:
    section = README.partition("\n## Benchmarks\n")[2].partition("\n## ")[0]
    found = tables(section)
    assert len(found) >= 3
    for header, _, *rows in found:
        for row in rows:
            for name, cell in zip(header, row, strict=True):
                assert name in NO_FIGURES or re.fullmatch(FIGURE, cell), (name, cell)


def test_the_picture_is_what_the_program_makes(checkout: Path) -> None:
    shown = pixelcluster.read_label_map(ROOT / "assets" / "readme" / "china_labels.png")
    now = pixelcluster.read_label_map(checkout / "out" / "china_labels.png")
    # Other hardware rounds otherwise: a few pixels may differ, and clusters of like size change places.
    same = sum(np.bincount(now[shown == k]).max() for k in np.unique(shown)) / now.size
    assert same > 0.95, "run: pixelcluster segment assets/samples/china.jpg -o assets/readme/ --overwrite"
    assert abs(int(now.max()) - int(shown.max())) <= 1
    with Image.open(ROOT / "assets" / "readme" / "china_overlay.png") as overlay:
        assert overlay.width == shown.shape[1]


def test_every_asset_is_small_and_credited() -> None:
    files = [path for folder in ("samples", "readme") for path in (ROOT / "assets" / folder).iterdir()]
    assert len(files) >= 4
    for path in files:
        assert f"`{path.parent.name}/{path.name}`" in CREDITS
        assert path.stat().st_size < 500_000


def test_the_changelog_begins_with_this_version() -> None:
    match = re.search(r"^## (\S+)", CHANGELOG, re.MULTILINE)
    assert match is not None
    assert match[1] == pixelcluster.__version__


@pytest.mark.parametrize("script", ["tools/setup.sh", ".ci/run"])
def test_scripts_are_bash(script: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)
