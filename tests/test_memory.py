"""The memory that a run needs: estimated before it begins, and kept."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from command_line import refusal
from hypothesis import given, settings
from hypothesis import strategies as st

import artpipe
from artpipe import InputError
from artpipe.pipeline.folders.checkpoints import Keeper, Start
from artpipe.pipeline.options import RunConfig
from artpipe.pipeline.running.memory import check_memory, needed, parse_memory
from artpipe.stages.pictures.picture import save_png, target_size
from artpipe.stages.pictures.sizes import SIZE_MAX, parse_size

SIDES = st.integers(1, SIZE_MAX)
COUNTS = st.integers(1, 250_000)


@pytest.mark.parametrize(
    ("text", "count"),
    [("2GB", 2 * 10**9), ("2 gb", 2 * 10**9), ("1.5g", 1_500_000_000), ("800MB", 8 * 10**8), ("64k", 64_000), ("7", 7)],
)
def test_a_size_of_memory_is_understood(text, count):
    assert parse_memory(text) == count


@given(st.text(max_size=20))
@settings(max_examples=20)
def test_any_text_is_a_size_of_memory_or_refused_in_one_line(text):
    try:
        assert parse_memory(text) > 0
    except InputError as error:
        assert "\n" not in str(error) and "2GB" in str(error)


@given(SIDES, SIDES, COUNTS, st.floats(1, 4), st.integers(1, 10**11), st.booleans())
def test_what_fits_is_let_through_and_what_does_not_names_options_that_do(width, height, most, pool, budget, exact):
    rows = round(most * pool)
    if needed(width, height, rows) <= budget:
        check_memory(width, height, rows, budget, pool, exact)
        return
    with pytest.raises(InputError) as caught:
        check_memory(width, height, rows, budget, pool, exact)
    message = str(caught.value)
    assert "\n" not in message and f"{width} x {height}" in message
    check_memory(width, height, rows, parse_memory(re.search(r"--memory ([\d.]+GB), or", message)[1]))
    if size := re.search(r"--size (\d+x\d+|\d+)$", message):
        assert exact == ("x" in size[1])
        sides = target_size((width, height), parse_size(size[1]))
        assert max(sides) < max(width, height)
        check_memory(*sides, rows, budget, pool)
    elif count := re.search(r"--max (\d+)$", message):
        assert 1 <= int(count[1]) < most
        check_memory(width, height, round(int(count[1]) * pool), budget, pool)
    else:
        assert "smaller --size and a smaller --max" in message or "machine with more memory" in message


@pytest.mark.parametrize("options", [{"pool": 4.0, "steps": 40}, {"count": 100_000, "pool": 1.0}], ids=str)
def test_the_whole_pool_is_counted_for_pictures_and_for_arrays(tmp_path, monkeypatch, options):
    most = options.pop("count", 60_000)
    save_png(np.full((40, 60, 3), 0.5, np.float32), tmp_path / "a.png")
    monkeypatch.setattr("artpipe.pipeline.running.memory.available", lambda: needed(420, 280, 80_000))
    for picture in (tmp_path / "a.png", np.full((40, 60, 3), 0.5, np.float32)):
        with pytest.raises(InputError, match=r"420 x 280 pixels .* Try --max \d+$"):
            artpipe.fit(picture, count=most, size=420, **options)
    words = ("run", tmp_path / "a.png", "--size", 420, "-o", tmp_path / "run", "--max", most, "--pool", options["pool"])
    assert re.search(
        r"--memory allows 1\.00GB\. Try --memory [\d.]+GB, or --max \d+$", refusal(*words, "--memory", "1GB")
    )
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_counts_its_pool_too(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    config = RunConfig(count=60_000, pool=4.0)
    Keeper(tmp_path, 5, pytest.fail).begin(Start(config, "a.png", np.full((40, 60, 3), 0.5, np.float32), None))
    assert "up to 240000 shapes" in refusal("resume", tmp_path, "--memory", "1.5GB")


@pytest.mark.parametrize("stages", [("grow", "--max", 90_000), ("seed", "--count", 45_000) * 2], ids=str)
def test_a_chain_of_stages_counts_the_most_circles_that_one_of_them_leaves(tmp_path, monkeypatch, stages):
    save_png(np.full((40, 60, 3), 0.5, np.float32), tmp_path / "a.png")
    monkeypatch.setattr("artpipe.pipeline.running.memory.available", lambda: needed(60, 40, 80_000))
    line = refusal("load", tmp_path / "a.png", *stages, "relocate", "--max", 5, "export", tmp_path / "b.png")
    assert "up to 90000 shapes" in line and "--max 80000" in line


def test_a_plan_without_a_search_needs_no_pool():
    assert RunConfig(count=100, pool=4.0).pool_count == 400
    assert RunConfig(count=100, pool=4.0, relocate_fraction=0.0).pool_count == 100
    assert RunConfig(count=100, pool=4.0, steps=0).pool_count == 100


def test_a_canvas_that_is_too_large_is_refused_before_anything_is_made(tmp_path):
    save_png(np.full((40, 60, 3), 0.5, np.float32), tmp_path / "a.png")
    line = refusal("run", tmp_path / "a.png", "-o", tmp_path / "run", "--size", 6000, "--memory", "2GB")
    assert "6000 x 4000" in line and "2.00GB" in line and "--size" in line
    assert not (tmp_path / "run").exists()
    assert "800MB" in refusal("run", tmp_path / "a.png", "-o", tmp_path / "run", "--memory", "much")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "circles", "renderer"),
    [("256", 2048, "torch"), ("1024x1024", 8000, "jax")],
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
    assert json.loads(done.stdout)["shapes"] == circles
