"""Ctrl-C and SIGTERM at any moment of a command: no incomplete file, no traceback, and the second quits at once."""

import os
import signal
import time

import numpy as np
import pytest
from effort import effort
from PIL import Image
from run_processes import ended, finished, results, started, wait_for, waves

from artpipe import load_scene
from artpipe.pipeline.running.interruption import Interruption
from artpipe.stages.pictures.picture import save_png

STOPS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
needs_signals = pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "waves.png"
    save_png(waves(), path)
    return path


# --- in this process ---


@needs_signals
@pytest.mark.parametrize(("number", "code"), STOPS)
def test_a_signal_raises_before_the_fit_and_is_noted_during_it(number, code):
    former = [signal.getsignal(each) for each, _ in STOPS]
    with pytest.raises(KeyboardInterrupt) as error, Interruption():
        signal.raise_signal(number)
    assert error.value.args == (number,)
    with Interruption() as interruption:
        interruption.defer()
        assert interruption.signal is None
        signal.raise_signal(number)
        assert interruption.signal == number and interruption.exit_code == code
    assert [signal.getsignal(each) for each, _ in STOPS] == former


@needs_signals
def test_an_interrupt_that_a_library_swallows_or_converts_is_raised():
    class Callback:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    callback = Callback()
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        del callback  # Python ignores what is raised there, as in callbacks of JAX and NumPy
        interruption.defer()
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            pass
        interruption.defer()
    with pytest.raises(KeyboardInterrupt), Interruption():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("partially initialized module") from None
    with pytest.raises(ImportError), Interruption():
        raise ImportError
    with pytest.raises(ValueError), Interruption() as interruption:  # an error of the run itself
        interruption.defer()
        signal.raise_signal(signal.SIGINT)
        raise ValueError


# --- processes ---


@pytest.mark.slow
@needs_signals
def test_an_interrupt_before_the_fit_prints_one_line_and_leaves_no_folder(picture, tmp_path):
    (tmp_path / "cache").mkdir()
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    process = started("run", picture, "-o", tmp_path / "a" / "run", env=environment)
    wait_for(process, "compiling the CPU kernel")
    exit_code, errors = ended(process, [signal.SIGTERM])
    assert exit_code == 143
    assert errors == "interrupted; no file is left incomplete\n"
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.slow
@needs_signals
def test_an_interrupt_during_the_start_shows_no_traceback(picture, tmp_path):
    """Before a handler is installed, the process just ends."""
    rng = np.random.default_rng(3)
    for k in range(effort(8)):
        process = started("run", picture, "-o", tmp_path / f"run-{k}", "--steps", 1_000_000, "--no-export", "-q")
        time.sleep(0.3 + rng.uniform(0.0, 2.0))
        code, errors = ended(process, [signal.SIGINT])
        # Rarely, a library that is interrupted while it compiles crashes, without a message.
        assert code in (130, -signal.SIGINT, -signal.SIGSEGV), errors
        assert len(errors.splitlines()) <= 1 or "artpipe resume" in errors
        if (tmp_path / f"run-{k}").exists():
            assert "artpipe resume" in errors and (tmp_path / f"run-{k}" / "scene.json").is_file()


@pytest.mark.slow
@needs_signals
def test_the_second_signal_quits_at_once(picture, tmp_path):
    """Placing this many circles takes a minute, in one call of the kernel."""
    folder = tmp_path / "run"
    process = started("run", picture, "-o", folder, "--size", 3000, "--max", 200_000, "--growth", 200_000)
    while process.poll() is None and not (folder / "run.json").exists():
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    wait_for(process, "a second signal quits at once")
    exit_code, errors = ended(process, [signal.SIGINT], timeout=30)
    assert exit_code == 130 and errors == ""
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint", "run.json"]


LARGE = ("--size", 1000, "--max", 40, "--growth", 40, "--steps", 4)
NAMES = [
    "comparison.png", "metrics.json", "painting.png", "painting.svg", "run.json", "scene.json", "snapshots.npz",
    "target.png", "timelapse.gif", "viewer.html",
]  # fmt: skip


def exporting(picture, folder):
    """A run that has fitted and is writing its large timelapse."""
    process = started("run", picture, "-o", folder, *LARGE, "-q")
    while process.poll() is None and not (folder / "painting.svg").exists():
        time.sleep(0.01)
    return process


@pytest.mark.slow
@needs_signals
@pytest.mark.parametrize(("count", "number", "code"), [(1 + k, *stop) for k, stop in enumerate(STOPS)])
def test_an_interrupt_during_export_leaves_no_incomplete_file(picture, tmp_path, count, number, code):
    folder = tmp_path / "run"
    process = exporting(picture, folder)
    process.send_signal(number)
    wait_for(process, "a second signal quits at once")
    exit_code, errors = ended(process, [number] * (count - 1))
    assert exit_code == code
    assert ("artpipe resume" in errors) == (count == 1)
    seen = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert set(NAMES) - {"timelapse.gif", "viewer.html"} <= seen <= {*NAMES, "checkpoint"}
    assert "viewer.html" not in seen and "checkpoint" in seen
    if "timelapse.gif" in seen:
        with Image.open(folder / "timelapse.gif") as film:
            film.seek(film.n_frames - 1)
            film.load()
    done = finished("resume", folder)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    assert load_scene(folder / "scene.json").count == 40 and results(folder)["metrics"]["steps"] == 4
