"""Paths of every kind, on every command: where results are written, their names, and how they are printed."""

import os
import pty
import subprocess
from contextlib import suppress
from pathlib import Path

import click
import numpy as np
import pytest
from command_line import refusal, run_cli, succeeded
from hypothesis import given
from hypothesis import strategies as st
from run_processes import command as words_of

from artpipe import Canvas, Scene, save_scene
from artpipe.pipeline.cli.commands import main
from artpipe.pipeline.cli.paths import PathType
from artpipe.pipeline.folders.claim import new_folder
from artpipe.renderers.errors import is_printable, printable
from artpipe.stages.formats.names import NAME_MAX, distinct, fitting, name_of_picture
from artpipe.stages.pictures.picture import save_png

TINY = ("--max", 3, "--growth", 2, "--steps", 4)
FORGED = "a\x1b[31m\nb\u202e\u2066\x07"
LATIN = os.fsdecode(b"caf\xe9")  # a name that is not UTF-8

# File names as Linux allows them, UTF-8 or not.
FILE_NAMES = (
    st.one_of(st.binary(max_size=NAME_MAX), st.text(max_size=60).map(lambda text: text.encode(errors="ignore")))
    .map(lambda name: name.translate(None, b"/\0"))
    .filter(bool)
    .map(os.fsdecode)
)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "tiny.png"
    save_png(np.random.default_rng(4).uniform(0, 1, (12, 16, 3)).astype(np.float32), path)
    return path


@pytest.fixture
def here(picture, tmp_path, monkeypatch):
    """The working directory; its parent holds `tiny.png` and `mine.json`."""
    (tmp_path / "tiny.png").write_bytes(picture.read_bytes())
    save_scene(Scene.circles(Canvas(9, 6), x=[4.0], y=[3.0], radius=[2.0], colour=[(1, 0, 0)]), tmp_path / "mine.json")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def lands(result):
    return Path(result.stdout.splitlines()[-1])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- run folders ---


def claimed(output):
    """The folder that a run claims; a file makes it taken."""
    with new_folder(Path(output), pytest.fail) as folder:
        (folder / "scene.json").write_text("{}")
    return folder


@pytest.mark.parametrize("output", [".", "./", "../here", "sub/..", "..//here//", "../link", "../link/."])
def test_the_first_run_claims_the_named_folder_and_the_second_a_sibling(here, output):
    (here.parent / "outside").mkdir()
    os.symlink(here.parent / "outside", here.parent / "link")
    if output == "sub/..":
        (here / "sub").mkdir()
    expected = here.parent / "outside" if "link" in output else here
    free = output != "sub/.."
    first, second = claimed(output), claimed(output)
    assert first.resolve() == (expected if free else here.parent / "here-2")
    assert second.resolve().name in ({"here-2", "outside-2", "link-2"} if free else {"here-3"})
    assert second.resolve().parent == here.parent


def test_the_root_is_refused_in_one_line(here):
    before = names(Path("/"))
    for output in ("/", "//", "/..", "/./"):
        assert "no siblings" in refusal("run", "../tiny.png", "-o", output, *TINY)
    assert names(Path("/")) == before and names(here) == []


def test_folders_may_have_the_longest_names(here):
    for length in (NAME_MAX, NAME_MAX - 1, 244):
        for name in ("x" * length, "é" * (length // 2)):
            folders = [claimed(name) for _ in range(3)]
            assert all(folder.name.startswith(name[:100]) for folder in folders)
            assert [folder.name[-2:] for folder in folders[1:]] == ["-2", "-3"]
            for folder in folders:
                (folder / "scene.json").unlink()
                folder.rmdir()


def test_a_run_folder_is_named_after_the_picture_but_never_hidden_empty_or_unprintable(here):
    for file, name in (
        (".png", "painting"), ("...", "painting"), (" .png", "painting"), ("-.png", "painting"),
        (".hidden.png", "hidden"), (".hidden", "painting"), ("-rf.png", "rf"), ("con.png", "con-painting"),
        ("Lpt1.a.png", "Lpt1.a-painting"), ("a..png", "a"), (" a b .png", "a b"), ("a.b.png", "a.b"), ("none", "none"),
        ("x" * 255, "x" * 255), ("ｎｉｇｈｔ　星.png", "ｎｉｇｈｔ　星"), ("a\x1b[31m\nb.png", "a_[31m_b"),
        (f"{LATIN}.png", "caf_"), ("[red]x[bold].png", "[red]x[bold]"),
    ):  # fmt: skip
        assert name_of_picture(Path(file)) == name
    (here / "..png").write_bytes(Path("../tiny.png").read_bytes())
    assert lands(succeeded("run", "./..png", *TINY, "--no-export")) == Path("outputs/painting")


@given(FILE_NAMES)
def test_the_name_of_any_picture_is_a_valid_folder_name(name):
    painting = name_of_picture(Path("folder") / name)
    assert painting and painting[0] not in " .-" and painting[-1] not in " ." and "/" not in painting
    assert all(map(is_printable, painting))


@given(st.text(max_size=300), st.integers(20, 300))
def test_names_are_shortened_to_a_limit_and_stay_distinct(name, most):
    name = name.encode(errors="replace").decode()
    assert fitting(name, "-2", most).endswith("-2") and len(os.fsencode(fitting(name, "-2", most))) <= most
    other = name + "x" * most
    assert len(os.fsencode(distinct(other, most))) <= most and distinct(other, most) != distinct(other + "y", most)
    assert distinct(name, 1200) == name


# --- files ---


@pytest.mark.parametrize("ending", [".png", ".svgz", ".npz", ".html"])
def test_files_may_have_the_longest_names(here, ending):
    for length in (NAME_MAX, 244):
        name = "x" * (length - len(ending)) + ending
        assert succeeded("export", "../mine.json", name).stdout == f"{name}\n"
    assert [len(name) for name in names(here)] == [244, NAME_MAX]
    assert "name too long" in refusal("export", "../mine.json", "a.json", "x" * NAME_MAX + ending)


def test_a_file_named_twice_is_written_and_printed_once(here):
    os.symlink("here", "../link")
    words = ["a.json", "b.json", "./a.json", "../here/a.json", "../link/a.json", here / "b.json"]
    assert succeeded("export", "../mine.json", *words).stdout.splitlines() == ["a.json", "b.json"]


def test_the_home_folder_is_expanded_where_the_shell_does_not(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    succeeded("export", "../mine.json", "~/a.json")
    words = ("run", "../tiny.png", "--export=~/b.json", "--output=~/run", *TINY, "--no-export")
    assert lands(succeeded(*words)) == here / "run"
    assert {"a.json", "b.json", "run"} == set(names(here))


def test_files_get_their_permissions_without_a_change_of_the_umask(here, monkeypatch):
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", None)  # it belongs to all threads
            succeeded("export", "../mine.json", "a.json", "a.png")
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in here.iterdir()] == [0o640, 0o640]


# --- every path of every command ---


def path_parameters(group=main, words=()):
    """(words of the command, parameter) of each path on the command line."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from path_parameters(command, (*words, name))
        for parameter in command.params:
            if isinstance(parameter.type, click.Path):
                yield (*words, name), parameter


PARAMETERS = [
    pytest.param(
        *found,
        id=" ".join([*found[0], found[1].name]),
        marks=[pytest.mark.slow] * (found[0] == ("bench", "command")),  # it runs whole commands
    )
    for found in path_parameters()
]
# The other required words of a command, around PATH.
LINES = {
    ("run", "picture"): "PATH", ("resume", "folder"): "PATH", ("load", "picture"): "PATH seed", ("render", "source"):
    "PATH -o a.png", ("export", "source"): "PATH a.json", ("export", "files"): "../mine.json PATH",
    ("render", "output"): "../mine.json -o PATH", ("bench", "paintings", "pictures"): "PATH",
    ("bench", "sweep", "pictures"): "PATH --param growth=1,2",
    ("bench", "command", "pictures"): "PATH --repeats 1 --steps 0",
}  # fmt: skip


def line(words, parameter, path):
    """A command line with this path."""
    pattern = LINES.get((*words, parameter.name))
    if pattern is None:
        sources = {
            "run": "../tiny.png -n 9",
            "sweep": "../tiny.png --param growth=1,2",
            "command": "../tiny.png --repeats 1 --steps 0",
            "render": "../mine.json",
        }
        source = sources.get(words[-1], "../tiny.png")
        pattern = f"{source} {parameter.opts[-1]} PATH" + " seed" * (words[-1] == "load")
    return [*words, *(path if word == "PATH" else word for word in pattern.split())]


@pytest.mark.parametrize(("words", "parameter"), PARAMETERS)
def test_an_empty_path_and_a_folder_instead_of_a_file_are_refused_in_one_line(here, words, parameter):
    assert isinstance(parameter.type, PathType)
    assert "empty" in refusal(*line(words, parameter, ""))
    if parameter.type._is_file:
        assert "names a folder" in refusal(*line(words, parameter, "a.png/"))
    assert names(here) == []


UNUSABLE = [".", "..", "/", "x" * 300, "/dev/null/a.png", "../tiny.png/a.png", FORGED, LATIN, "~"]


@pytest.mark.parametrize(("words", "parameter"), PARAMETERS)
def test_an_unusable_path_is_refused_in_one_printable_line(here, words, parameter):
    if words[-1] == "sweep":
        pytest.importorskip("optuna")
    makes_folder = parameter.name == "output" and not parameter.type._is_file
    for path in UNUSABLE:
        if makes_folder and path != "/" and "/a.png" not in path and len(path) < 256:
            continue  # it, or a sibling, can be created
        message = refusal(*line(words, parameter, path))
        assert all(map(is_printable, message)), message
        assert names(here) == []


# --- what is printed ---


@pytest.mark.parametrize("name", [f"{FORGED}.json", f"{LATIN}.json", "[red]x[bold].json", "ｎ　星 ̈.json"], ids=ascii)
def test_names_are_printed_in_printable_characters(here, name):
    result = succeeded("export", "../mine.json", name)
    assert result.stdout == f"{printable(name)}\n" and all(map(is_printable, result.stdout[:-1]))
    assert names(here) == [name]
    assert printable(name) in refusal("export", "../mine.json", f"{name}.xyz")
    result = run_cli("export", "../mine.json", f"--{name}")
    assert result.exit_code == 2 and all(map(is_printable, result.stderr.replace("\n", "")))


def test_a_run_in_a_folder_of_any_name_prints_one_line_for_it(here):
    words = ("run", "../tiny.png", "-o", FORGED, *TINY, "--no-export")
    assert [lands(succeeded(*words)) for _ in range(2)] == [Path(printable(FORGED)), Path(printable(f"{FORGED}-2"))]
    result = succeeded("resume", FORGED)
    assert result.stderr == f"{printable(FORGED)} is finished; there is nothing to resume\n"


def test_a_name_is_shown_on_a_terminal_as_it_is_printed(here):
    name = "[red]x[bold]\x1b]0;title\x07.json"
    terminal, end = pty.openpty()
    with subprocess.Popen([*words_of("export", "../mine.json", name)], stdout=end, stderr=end) as process:
        os.close(end)
        shown = b""
        with suppress(OSError):  # raised at the end
            while part := os.read(terminal, 1000):
                shown += part
    os.close(terminal)
    assert process.returncode == 0 and f"writing {printable(name)}".encode() in shown
    assert b"\x1b]0" not in shown and b"\x07" not in shown


@given(st.text())
def test_unprintable_text_is_escaped(text):
    shown = printable(text)
    assert all(map(is_printable, shown)) and printable(shown) == shown
    assert shown == text or not all(map(is_printable, text))
    shown.encode()
