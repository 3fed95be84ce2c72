"""Statistics of the trials of a bench, their tables, and the report."""

import csv
import io
import json
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import artpipe
from artpipe import InputError
from artpipe.pipeline.bench import tables
from artpipe.pipeline.bench.curves import best_so_far, loss_at, mean_curves
from artpipe.pipeline.bench.plots import colours_of
from artpipe.pipeline.bench.report import write_report
from artpipe.pipeline.bench.trial import Trial

CONTESTANTS = {"baseline": "At random.", "fixed": "Well placed.", "fixed-seconds": "For longer.", "growth": "Batches."}


def trial(contestant="growth", painting="starry", seed=0, *, loss=0.004, seconds=4.0, history=None, **others):
    """A trial whose loss falls tenfold, evenly in its logarithm, unless the history is given."""
    mse, steps, pairs = loss / 4, 1000, 2e9
    if history is None:
        shares = np.array([0.1, 0.25, 0.5, 0.75, 1.0])
        history = [
            {"step": steps * s, "shapes": 2048, "seconds": seconds * s, "pairs": pairs * s, "mse": mse * 10 ** (1 - s)}
            for s in shares.tolist()
        ]
    known = {
        "contestant": contestant, "renderer": "jax", "painting": painting, "seed": seed, "shapes": 2048,
        "steps": steps, "mse": mse, "psnr": artpipe.psnr(mse), "seed_loss": loss, "ssim": 0.8, "lpips": None,
        "fit_seconds": seconds, "compile_seconds": 1.0, "pairs": pairs, "history": tuple(history),
        "images": {"initial": "a.png", "target": "a.png", "final": "a.png"}, "device": "cpu",
    }  # fmt: skip
    return Trial(**(known | others))


def rows(*points):
    """A history from (step, shapes, mse)."""
    return [{"step": s, "shapes": n, "seconds": s / 100, "pairs": s * 1e6, "mse": e} for s, n, e in points]


def full_bench():
    """Four contestants, two renderers, two paintings, two seeds; `fixed-seconds` wins on the ducks."""
    losses = {"baseline": 0.02, "fixed": 0.005, "fixed-seconds": 0.0045, "growth": 0.004}
    seconds = {"baseline": 40.0, "fixed": 3.0, "fixed-seconds": 4.0, "growth": 4.0}
    return [
        trial(
            name, painting, seed, renderer=renderer,
            loss=loss * (1 + 0.01 * seed) * (0.5 if (name, painting) == ("fixed-seconds", "ducks") else 1),
            seconds=seconds[name] * (1.25 if renderer == "torch" else 1),
        )
        for name, loss in losses.items()
        for renderer in ("jax", "torch")
        for painting in ("starry", "ducks")
        for seed in (0, 1)
    ]  # fmt: skip


def content_of(trials):
    return {
        "machine": {"cpu": "A & B", "cores": 2, "gpu": None, "python": "3.12", "packages": {"jax": "1"}, "load": 0.5},
        "options": {"count": 2048, "shape": "circle", "size": "256", "preset": "balanced", "paintings": {}, "vary": []},
        "trials": [one.to_json() for one in trials],
    }


def compared(trials, rival, axis="end", renderer="jax"):
    """The row of `tables.compare` that holds growth against a rival."""
    found = tables.compare(tables.duels(trials))
    (row,) = found[(found.rival == rival) & (found.axis == axis) & (found.renderer == renderer)].itertuples()
    return row


def cell(table, column, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    (found,) = table[column]
    return found


# ---------------------------------------------------------------- means and spreads


def test_a_mean_is_over_paintings_and_its_spread_over_seeds():
    losses = {("a", 0): 0.001, ("b", 0): 0.003, ("a", 1): 0.003, ("b", 1): 0.005}
    found = tables.frame(trial(painting=name, seed=seed, loss=loss) for (name, seed), loss in losses.items())
    mean, spread = tables.mean_and_spread(found, "seed_loss")
    assert mean == pytest.approx(0.003) and spread == pytest.approx(np.std([0.002, 0.004], ddof=1))
    mean, spread = tables.mean_and_spread(found, "seed_loss", geometric=True)
    assert mean == pytest.approx(math.sqrt(0.002 * 0.004))
    assert spread == pytest.approx(np.std([math.sqrt(3e-6), math.sqrt(15e-6)], ddof=1))


def test_a_spread_needs_two_seeds_with_every_painting():
    one = tables.frame([trial()])
    assert tables.mean_and_spread(one, "seed_loss")[0] == 0.004
    assert "LPIPS" not in tables.means_table(one) and "±" not in tables.means_table(one).to_string()
    partial = tables.frame([trial(painting="a"), trial(painting="b"), trial(painting="a", seed=1, loss=0.4)])
    assert math.isnan(tables.mean_and_spread(partial, "seed_loss")[1])


def test_the_table_of_means_is_in_the_order_of_the_contestants():
    table = tables.means_table(tables.frame(full_bench()[::-1], CONTESTANTS))
    assert table["contestant"].tolist() == [name for name in CONTESTANTS for _ in range(2)]
    assert cell(table, "loss × 1000", contestant="growth", renderer="jax") == "4.02 ± 0.03"
    assert cell(table, "seconds", contestant="growth", renderer="torch") == "5.00 ± 0.00"
    assert set(table["trials"]) == {"4"}


def test_the_table_of_paintings_marks_the_lowest():
    table = tables.paintings_table(tables.frame(full_bench(), CONTESTANTS))
    assert cell(table, "growth", painting="starry") == "4.02 ± 0.03 *"
    assert cell(table, "growth", painting="ducks") == "4.02 ± 0.03"
    assert cell(table, "fixed-seconds", painting="ducks") == "2.26 ± 0.02 *"


def test_the_csv_has_a_row_for_each_trial_and_no_history():
    text = tables.frame([trial(painting='odd, "name"'), trial(seed=1, lpips=0.25)]).to_csv(index=False)
    first, second = csv.DictReader(io.StringIO(text))
    assert first["painting"] == 'odd, "name"' and first["lpips"] == "" and second["lpips"] == "0.25"
    assert float(first["seed_loss"]) == 0.004 and "history" not in first and "images" not in first


# ---------------------------------------------------------------- growth against its rivals


def test_contestants_are_paired_by_painting_and_seed():
    trials = [
        trial("growth", "a", 0, loss=0.001),
        trial("growth", "a", 1, loss=9.0),  # the rival has no such seed
        trial("baseline", "a", 0, loss=0.002),
        trial("growth", "b", 0, loss=0.004),
        trial("baseline", "b", 0, loss=0.003),
        trial("growth", "c", 0),
    ]
    row = compared(trials, "baseline")
    assert row.ratio == pytest.approx(1.0) and (row.won, row.paintings, row.wins) == (1, 2, False)
    assert math.isnan(row.spread)


def test_a_ratio_of_means_has_the_spread_of_the_seeds_ratios():
    losses = {("growth", 0): 0.001, ("growth", 1): 0.003, ("fixed", 0): 0.002, ("fixed", 1): 0.002}
    row = compared([trial(name, seed=seed, loss=loss) for (name, seed), loss in losses.items()], "fixed")
    assert row.ratio == pytest.approx(1.0) and row.spread == pytest.approx(np.std([0.5, 1.5], ddof=1))


def test_at_equal_seconds_the_slower_run_is_cut_and_at_equal_steps_it_is_not():
    pair = [trial("baseline", loss=0.001, seconds=40.0), trial("growth", loss=0.002, seconds=4.0)]
    row = compared(pair, "baseline", "seconds")
    assert row.growth == pytest.approx(0.002) and row.other == pytest.approx(0.001 * 10**0.9) and row.wins
    assert not compared(pair, "baseline").wins and compared(pair, "baseline", "steps").ratio == pytest.approx(2)


def test_runs_of_nearly_the_same_seconds_are_compared_at_their_ends():
    pair = [trial("growth", loss=0.001, seconds=4.1), trial("fixed", loss=0.002, seconds=4.0)]
    row = compared(pair, "fixed", "seconds")
    assert (row.growth, row.other) == pytest.approx((0.001, 0.002))


def test_every_mean_and_painting_that_growth_does_not_win_is_listed():
    table = tables.not_won_table(tables.duels(full_bench()))
    lost = table[(table.rival == "fixed-seconds") & (table.compared == "loss at the end") & (table.renderer == "jax")]
    assert lost.painting.tolist() == ["all (mean)", "ducks"]  # the mean is lost with it
    assert lost["growth ÷ rival"].tolist() == ["1.185", "1.778"]
    assert set(table[table.rival == "baseline"].compared) == {"SSIM"}
    assert set(table[table.rival == "fixed"].compared) == {"SSIM", "seconds", "at equal seconds"}


def test_being_as_good_is_not_winning():
    table = tables.not_won_table(tables.duels([trial("growth"), trial("fixed")]))
    axes = ["end", "steps", "seconds", "pairs", "ssim", "time"]
    assert sorted(table.compared) == sorted(2 * [tables.AXES[axis].heading for axis in axes])


def test_pytorch_is_compared_with_jax_by_the_step():
    table = tables.renderers_table(tables.frame(full_bench(), CONTESTANTS))
    assert table["contestant"].tolist() == list(CONTESTANTS) and set(table["pairs of trials"]) == {"4"}
    assert set(table["seconds a step"]) == {"1.250 ± 0.000"} and set(table["loss"]) == {"1.0000"}
    assert tables.renderers_table(tables.frame([trial()])).empty


def test_published_losses_are_compared_for_each_painting_and_on_the_mean():
    found = tables.frame(trial("baseline", name, loss=loss) for name, loss in (("a", 0.011), ("b", 0.03), ("c", 0.1)))
    table = tables.published_table(found, {"a": 0.010, "b": 0.03, "unknown": 1.0})
    assert table["painting"].tolist() == ["a", "b", "all (mean)"]
    assert table["deviation"].tolist() == ["+10.0 %", "+0.0 %", "+2.5 %"]
    assert tables.published_table(found, {}).empty


# ---------------------------------------------------------------- the best so far


def test_what_a_larger_pool_drew_does_not_count():
    history = rows((10, 256, 0.02), (20, 2560, 0.001), (90, 2560, 0.0008), (95, 2048, 0.002))
    one = trial(loss=0.004, steps=100, seconds=1.0, pairs=1e8, history=history)
    curve = best_so_far(one, "steps")
    assert [loss_at(curve, step) for step in (10, 90, 95, 100, 500)] == pytest.approx([0.08, 0.08, 0.008, 0.004, 0.004])
    assert math.isnan(loss_at(curve, 9)) and best_so_far(one, "shapes").index.tolist() == [256, 2048]
    assert best_so_far(trial(history=[]), "seconds").to_dict() == {4.0: pytest.approx(0.004)}


histories = st.lists(
    st.tuples(st.floats(0, 1000), st.integers(1, 3000), st.floats(1e-6, 1.0)), min_size=1, max_size=12
).map(lambda points: rows(*points))


@given(histories, histories)
def test_the_best_so_far_never_rises_and_a_comparison_does_not_depend_on_the_order(first, second):
    subject = trial(seconds=10.0, pairs=1e9, history=first)
    curve = best_so_far(subject, "steps")
    counted = [row["mse"] for row in first if row["shapes"] <= 2048] + [subject.mse]
    assert curve.index.is_monotonic_increasing and curve.is_monotonic_decreasing
    assert curve.iloc[-1] == pytest.approx(4 * min(counted))
    ahead, behind = (
        tables.duels([trial(one, history=first), trial(other, history=second)])
        for one, other in (("growth", "fixed"), ("fixed", "growth"))
    )
    merged = ahead.merge(behind, on="axis", suffixes=("", "_behind"))
    assert (merged.growth == merged.other_behind).all() and (merged.other == merged.growth_behind).all()


def test_a_mean_curve_falls_from_where_all_began_to_the_last_end_for_each_seed():
    curves = mean_curves([trial(seconds=4.0), trial(painting="b", loss=0.001), trial(seed=1, seconds=8.0)], "seconds")
    assert curves.index[0] == pytest.approx(0.8) and curves.index[-1] == pytest.approx(8.0)
    assert (np.diff(curves, axis=0) <= 1e-12).all() and curves.columns.tolist() == [0, 1]
    assert curves.iloc[-1].tolist() == pytest.approx([0.002, 0.004])


def test_a_contestant_has_one_colour_whoever_else_takes_part():
    few, many = colours_of(["growth", "draft"]), colours_of([*CONTESTANTS, "draft", "best"])
    assert few["growth"] == many["growth"] and few["draft"] == many["draft"] and few["draft"] != few["growth"]


# ---------------------------------------------------------------- the report


HOSTILE = '</title><script>alert(1)</script><img src=x onerror=alert(2)>"&{{body}}$x^{'
LONG = "growth_" + "without_any_space_" * 5


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A report with pictures, of a painting with a hostile name and a contestant with a long one."""
    folder = tmp_path_factory.mktemp("report")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)).save(folder / "a.png")
    names = {"ducks": HOSTILE, "fixed": LONG}
    trials = [
        replace(
            one, painting=names.get(one.painting, one.painting), contestant=names.get(one.contestant, one.contestant)
        )
        for one in full_bench()
    ]
    words = {**CONTESTANTS, "growth": "<i>Batch</i>", LONG: LONG}
    write_report(folder, content_of(trials), trials, words, {"starry": 0.021})
    return folder / "report.html"


def test_the_report_stands_alone_and_escapes_names(written):
    text = written.read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\((?!#)|<script|<link(?! rel=\"icon\" href=\"data:)", text)
    assert all(link.startswith(("data:", "#")) for link in re.findall(r"(?:src|href)=\"([^\"]*)", text))
    assert "default-src 'none'" in text and text.count("data:image/webp") == 2 * (1 + 2 * 4)
    assert "<img src=x" not in text and "<i>Batch" not in text and "nan" not in re.sub('data:[^"]*', "", text).lower()
    assert "&lt;script&gt;" in text and "{{body}}" in text and "&lt;i&gt;Batch" in text and text.count("<svg") == 7


def test_the_report_explains_every_column(written):
    text = written.read_text(encoding="utf-8")
    headings = set(re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', text))
    explained = {measure.heading for measure in tables.MEASURES} | {axis.heading for axis in tables.AXES.values()}
    assert all(f"<dt>{heading}</dt>" in text for heading in explained & headings)
    assert {"loss × 1000", "PSNR, dB", "at equal seconds", "at equal pairs", "seconds a step", "deviation"} <= headings


@pytest.mark.parametrize("kept", [["growth"], ["fixed", "fixed-seconds"]])
def test_missing_rivals_and_exact_pictures_leave_gaps_and_no_errors(tmp_path, kept):
    trials = [replace(trial(name), mse=0.0, seed_loss=0.0, psnr=120.0, history=()) for name in kept]
    write_report(tmp_path, content_of(trials), trials, CONTESTANTS, {"starry": 0.02})
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Nothing to compare" in text and "nan" not in text.lower() and "data:image/webp" not in text
    exact = [trial(name, loss=0.0, psnr=120.0) for name in ("growth", "fixed")]
    assert compared(exact, "fixed").ratio == 1 and compared(exact, "fixed", "seconds").ratio == 1


def test_the_report_shows_no_picture_from_outside_its_folder(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (tmp_path / "bench").mkdir()
    paths = {"final": "../secret.png", "target": str(tmp_path / "secret.png"), "initial": "../secret.png"}
    write_report(tmp_path / "bench", content_of([]), [trial(images=paths)], CONTESTANTS, {})
    assert "data:image/" not in (tmp_path / "bench/report.html").read_text(encoding="utf-8")


def test_a_trial_with_other_keys_is_refused():
    assert Trial.from_json(json.loads(json.dumps(trial().to_json()))) == trial()
    for values in ({}, [], {**trial().to_json(), "hue": 1}):
        with pytest.raises(InputError, match="needs the keys"):
            Trial.from_json(values)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (1920, "dark")])
def test_the_report_opens_in_a_browser_without_problems(written, width, scheme):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on the path")
    problems, requests = [], []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(written.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # Only tables may extend beyond the edge of the window.
        assert page.evaluate("""[...document.querySelectorAll("main *")].every(element =>
            element.closest("table, svg *") || element.getBoundingClientRect().right <= innerWidth)""")
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        levels = [int(level) for level in re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).color"))]
        assert (np.mean(levels[:3]) > 128) == (scheme == "dark")
        inks = page.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
        assert (np.mean([int(level) for level in re.findall(r"\d+", inks)][:3]) > 128) == (scheme == "dark")
        browser.close()
    assert problems == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
