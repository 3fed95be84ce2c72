"""What a run needs of memory: told before it begins, and true."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from artpipe import InputError
from artpipe.pipeline.memory import available, check_memory, needed, parse_memory
from artpipe.stages.picture import SIZE_MAX, save_png
from command_line import refusal
from hypothesis import given
from hypothesis import strategies as st

SIDES = st.integers(1, SIZE_MAX)
COUNTS = st.integers(1, 250_000)


@pytest.mark.parametrize(
    ("text", "count"),
    [("2GB", 2 * 10**9), ("2 gb", 2 * 10**9), ("1.5g", 1_500_000_000), ("800MB", 8 * 10**8), ("64k", 64_000), ("7", 7)],
)
def test_a_size_of_memory_is_understood(text, count):
    assert parse_memory(text) == count


@given(st.text(max_size=20))
def test_any_text_is_a_size_of_memory_or_refused_in_one_line(text):
    try:
        assert parse_memory(text) > 0
    except InputError as error:
        assert "\n" not in str(error) and "2GB" in str(error)


@given(SIDES, SIDES, COUNTS, st.integers(1, 10**11))
def test_what_fits_is_let_through_and_what_does_not_names_a_size_that_does(width, height, circles, budget):
    if needed(width, height, circles) <= budget:
        check_memory(width, height, circles, budget)
        return
    with pytest.raises(InputError) as caught:
        check_memory(width, height, circles, budget)
    message = str(caught.value)
    assert "\n" not in message and f"{width} x {height}" in message
    fitting = re.search(r"--size (\d+)$", message)
    if fitting:
        longest = int(fitting[1])
        assert longest < max(width, height)
        factor = longest / max(width, height)
        # As a picture is sized: sides are rounded, and none is below a pixel.
        sides = [max(1, round(side * factor)) for side in (width, height)]
        assert needed(*sides, circles) <= budget * 1.01 + 200 * max(sides)


def test_a_machine_has_room_for_the_default_canvas():
    assert available() is None or available() > needed(256, 256, 2048)


def test_a_canvas_that_is_too_large_is_refused_before_anything_is_made(tmp_path):
    save_png(np.full((40, 60, 3), 0.5, np.float32), tmp_path / "a.png")
    line = refusal("run", tmp_path / "a.png", "-o", tmp_path / "run", "--size", 6000, "--memory", "2GB")
    assert "6000 x 4000" in line and "2.00GB" in line and "--size" in line
    assert not (tmp_path / "run").exists()
    assert "800MB" in refusal("run", tmp_path / "a.png", "-o", tmp_path / "run", "--memory", "much")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "circles", "renderer"),
    [("256", 2048, "jax"), ("256", 2048, "torch"), ("1024x1024", 8000, "jax")],
)
def test_a_run_stays_within_what_it_was_said_to_need(tmp_path, size, circles, renderer, rng):
    save_png(rng.random((64, 64, 3), np.float32), tmp_path / "a.png")
    words = ["run", tmp_path / "a.png", "-o", tmp_path / "run", "--size", size, "--max", circles, "--growth", circles]
    words += ["--steps", 20, "--relocate-every", 10, "--renderer", renderer, "--json"]
    measured = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
    )
    command = [sys.executable, "-c", measured, sys.executable, "-m", "artpipe", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    side = int(size.split("x")[0])
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stderr.split()[-1]) * unit <= needed(side, side, circles)
    assert json.loads(done.stdout)["circles"] == circles
