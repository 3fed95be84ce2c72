"""The README: its Python runs, its command lines parse, its links exist."""

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


def test_the_readme_has_python_for_each_renderer_and_command_lines():
    assert len(PYTHON) >= 3
    assert any("jax" in block for block in PYTHON) and any("torch" in block for block in PYTHON)
    assert {line.split()[0] for line in COMMANDS} >= {"run", "load", "render"}


@pytest.mark.parametrize("line", COMMANDS)
def test_the_command_lines_in_the_readme_parse(line, tmp_path, monkeypatch):
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
            command = command.commands[arguments.pop(0) if named else "paintings"]  # the default of `bench`
        if "--help" not in arguments:
            with click.Context(main, **main.context_settings) as root:  # commands cache their help option
                command.make_context(name, list(arguments), parent=root)


def test_files_and_pictures_of_the_readme_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)|(?<=[ `])(images/[\w./]+\.\w+)", TEXT):
        assert (ROOT / "".join(target)).exists(), target
