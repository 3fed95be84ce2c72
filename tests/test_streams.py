"""Closed, full or unread standard streams: commands still do their work."""

import fcntl
import os
import select
import subprocess
import sys

import numpy as np
import pytest
from run_processes import command

from artpipe import Canvas, Scene, load_scene, save_scene
from artpipe.pipeline.cli.commands import main
from artpipe.stages.pictures.picture import save_png

# Command lines by name, and the files that they write.
WORK = {
    "help": ("--help", []),
    "export": ("export scene.json a.json b.npz", ["a.json", "b.npz"]),
    "run": ("run tiny.png -o run --max 3 --growth 2 --steps 4", ["run/scene.json", "run/viewer.html"]),
    "resume": ("resume done", []),
    "load": (
        "load tiny.png grow --max 3 --growth 2 --steps 2 export a.json refine --steps 2 export b.json",
        ["a.json", "b.json"],
    ),
    "bench": (
        "bench tiny.png -o bench --renderer jax --contestant growth --circles 3 --size 16 --preset draft",
        ["bench/report.html"],
    ),
}
ALL = [name if name in ("help", "export") else pytest.param(name, marks=pytest.mark.slow) for name in WORK]


@pytest.fixture
def here(tmp_path, monkeypatch):
    save_scene(Scene.circles(Canvas(9, 6), x=[4.0], y=[3.0], radius=[2.0], colour=[(1, 0, 0)]), tmp_path / "scene.json")
    save_png(np.random.default_rng(4).uniform(0, 1, (12, 16, 3)).astype(np.float32), tmp_path / "tiny.png")
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "metrics.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def redirected(name, redirection):
    """How a command line ends under a redirection of the shell."""
    words = [*command(), *WORK[name][0].split()]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *words], capture_output=True, text=True, timeout=300
    )


def assert_written(here, name):
    for file in WORK[name][1]:
        assert (here / file).stat().st_size > 0
        if file.endswith(".json"):
            load_scene(here / file)


REDIRECTIONS = [">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full", "2</dev/null"]
QUICK = [("help", "2>&-"), ("export", ">&- 2>&-")]
SLOW = [*(("export", each) for each in REDIRECTIONS[1:]), *((name, ">&- 2>/dev/full") for name in WORK)]


@pytest.mark.parametrize(
    ("name", "redirection"), [*QUICK, *(pytest.param(*each, marks=pytest.mark.slow) for each in SLOW)]
)
def test_closed_or_full_streams_are_not_an_error(here, name, redirection):
    done = redirected(name, redirection)
    assert (done.returncode, "Error" in done.stderr, "Traceback" in done.stderr) == (0, False, False)
    assert_written(here, name)


@pytest.mark.parametrize("name", ALL)
def test_results_on_a_full_disk_are_an_error_in_one_line_after_the_work(here, name):
    done = redirected(name, ">/dev/full")
    if name == "resume":  # which has no results
        return
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "Error: cannot write to standard output: No space left on device"
    assert_written(here, name)


@pytest.mark.parametrize("name", ALL)
def test_the_exit_of_a_pipes_reader_does_not_end_the_work(here, name):
    both = name not in ("help", "run")  # whether stderr is the same pipe
    reads, writes = os.pipe()
    os.close(reads)
    try:
        errors = writes if both else subprocess.PIPE
        done = subprocess.run(
            [*command(), *WORK[name][0].split()], stdout=writes, stderr=errors, text=True, timeout=300
        )
    finally:
        os.close(writes)
    assert done.returncode == (0 if name == "resume" else 141)  # as a shell reports SIGPIPE
    assert both or "Error" not in done.stderr
    assert_written(here, name)


@pytest.mark.parametrize("missing", [("stdout",), ("stderr",), ("stdout", "stderr")], ids="+".join)
def test_a_program_without_a_console_can_call_the_command_line(here, monkeypatch, missing):
    for name in missing:
        monkeypatch.setattr(sys, name, None)
    for words, code in (("--help", 0), ("export scene.json a.json", 0), ("nope", 2), ("render none -o a.png", 1)):
        with pytest.raises(SystemExit) as end:
            main(words.split(), prog_name="artpipe")
        assert end.value.code == code
        assert [getattr(sys, name) for name in missing] == [None] * len(missing)


def test_no_file_gets_the_descriptor_of_a_closed_stream(here):
    """Libraries log to descriptor 2."""
    code = """
import os
from artpipe.pipeline.cli.commands import main
main(["export", "scene.json", "a.json"], standalone_mode=False)
os.write(2, b"log")
"""
    done = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", code], timeout=60)
    assert done.returncode == 0
    load_scene("a.json")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the size of a pipe is set by Linux's own call")
def test_a_full_nonblocking_pipe_is_waited_for(here):
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, 4096)
    files = [f"{'x' * 200}{number}.json" for number in range(40)]
    process = subprocess.Popen([*command("export", "scene.json", *files)], stdout=writes)
    os.close(writes)
    with os.fdopen(reads) as file:
        assert file.read().split() == files
    assert process.wait(60) == 0


def test_a_full_disk_is_reported_in_one_line(here):
    places = np.linspace(0, 60, 400)
    colours = np.random.default_rng(1).uniform(0, 1, (400, 3))
    scene = Scene.circles(Canvas(99, 60), x=places * 1.6, y=places, radius=places + 1, colour=colours)
    save_scene(scene, here / "scene.json")
    before = sorted(here.iterdir())
    words = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *command("export", "scene.json", "a.svg", "b.png", "c.json")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and done.stdout == "" and line.startswith("Error: cannot write ")
    assert " -o" not in line and sorted(here.iterdir()) == before


def test_each_line_of_progress_is_written_at_once():
    code = """
import sys
from artpipe.pipeline.cli.streams import standard_streams
with standard_streams():
    print("step 1", file=sys.stderr)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    ) as process:  # fmt: skip
        ready, _, _ = select.select([process.stderr], [], [], 30)
        assert ready and process.stderr.readline() == "step 1\n"
        process.stdin.close()
    assert process.returncode == 0
