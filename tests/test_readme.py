"""The README: its Python runs as it stands, its command lines are understood, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import click
import pytest

from artpipe.pipeline.cli.chain import STAGE_COMMANDS, split_chain
from artpipe.pipeline.cli.commands import main

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8") if README.exists() else ""
PYTHON = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^    (?:.*&& \S*)?artpipe (?!/)(.+?)\s*(?:#.*)?$", TEXT, re.MULTILINE)

pytestmark = pytest.mark.skipif(not TEXT, reason="README.md is not beside tests/")


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_the_python_in_the_readme_runs(number, tmp_path, monkeypatch):
    (tmp_path / "images").symlink_to(ROOT / "images")
    monkeypatch.chdir(tmp_path)
    exec(compile(PYTHON[number], f"README.md, block {number}", "exec"), {"__name__": "readme"})


def test_there_is_python_in_the_readme_for_each_renderer():
    assert len(PYTHON) >= 3
    assert any("jax" in block for block in PYTHON) and any("torch" in block for block in PYTHON)


@pytest.mark.parametrize("line", COMMANDS)
def test_the_command_lines_in_the_readme_are_understood(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, *words = shlex.split(line)
    pieces = [(first, words)]
    if first == "load":
        (_, *words), chained = split_chain([first, *words], main.commands["load"])
        pieces = [(first, words), *chained]
    for name, arguments in pieces:
        command = STAGE_COMMANDS.get(name) or main.commands[name]
        while isinstance(command, click.Group):
            named = arguments and arguments[0] in command.commands
            command = command.commands[arguments.pop(0) if named else "paintings"]  # what `bench` does alone
        if "--help" not in arguments:
            with click.Context(main, **main.context_settings) as root:  # commands keep the help option they get first
                command.make_context(name, list(arguments), parent=root)


def test_there_are_command_lines_in_the_readme():
    assert {line.split()[0] for line in COMMANDS} >= {"run", "load", "render"}


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", TEXT))))
def test_files_that_the_readme_shows_are_there(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?<=[ `])images/[\w./]+\.\w+", TEXT))))
def test_pictures_that_the_readme_names_are_there(path):
    assert (ROOT / path).exists()
