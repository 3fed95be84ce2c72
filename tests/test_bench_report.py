"""Statistics of the trials of a bench, their tables, and the report."""

import json
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import artpipe
from artpipe import InputError
from artpipe.pipeline.bench import tables
from artpipe.pipeline.bench.curves import best_so_far, loss_at, mean_curves
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
        "images": {"initial": "a.png", "target": "a.png", "final": "a.png"},
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
    mean, spread = tables.mean_and_spread(found, "seed_loss", is_geometric=True)
    assert mean == pytest.approx(math.sqrt(0.002 * 0.004))
    assert spread == pytest.approx(np.std([math.sqrt(3e-6), math.sqrt(15e-6)], ddof=1))


def test_a_spread_needs_two_seeds_with_every_painting():
    one = tables.frame([trial()])
    assert tables.mean_and_spread(one, "seed_loss")[0] == 0.004
    assert "LPIPS" not in tables.means_table(one) and "±" not in tables.means_table(one).to_string()
    partial = tables.frame([trial(painting="a"), trial(painting="b"), trial(painting="a", seed=1, loss=0.4)])
    assert math.isnan(tables.mean_and_spread(partial, "seed_loss")[1])


def test_tables_are_in_the_order_of_the_contestants_and_mark_the_lowest_loss_of_a_painting():
    table = tables.means_table(tables.frame(full_bench()[::-1], CONTESTANTS))
    assert table["contestant"].tolist() == [name for name in CONTESTANTS for _ in range(2)]
    assert cell(table, "loss × 1000", contestant="growth", renderer="jax") == "4.02 ± 0.03"
    assert cell(table, "seconds", contestant="growth", renderer="torch") == "5.00 ± 0.00"
    assert set(table["trials"]) == {"4"}
    table = tables.paintings_table(tables.frame(full_bench(), CONTESTANTS))
    assert cell(table, "growth", painting="starry") == "4.02 ± 0.03 *"
    assert cell(table, "growth", painting="ducks") == "4.02 ± 0.03"
    assert cell(table, "fixed-seconds", painting="ducks") == "2.26 ± 0.02 *"


# ---------------------------------------------------------------- growth against its rivals


def test_contestants_are_paired_by_painting_and_seed_and_the_spread_is_that_of_the_seeds_ratios():
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
    losses = {("growth", 0): 0.001, ("growth", 1): 0.003, ("fixed", 0): 0.002, ("fixed", 1): 0.002}
    row = compared([trial(name, seed=seed, loss=loss) for (name, seed), loss in losses.items()], "fixed")
    assert row.ratio == pytest.approx(1.0) and row.spread == pytest.approx(np.std([0.5, 1.5], ddof=1))


def test_at_equal_seconds_the_slower_run_is_cut():
    pair = [trial("baseline", loss=0.001, seconds=40.0), trial("growth", loss=0.002, seconds=4.0)]
    row = compared(pair, "baseline", "seconds")
    assert row.growth == pytest.approx(0.002) and row.other == pytest.approx(0.001 * 10**0.9) and row.wins
    assert not compared(pair, "baseline").wins and compared(pair, "baseline", "steps").ratio == pytest.approx(2)
    # Nearly the same seconds: compared at their ends.
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
    # Being as good is not winning.
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


@settings(max_examples=12)
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


def test_missing_rivals_and_exact_pictures_leave_gaps_and_no_picture_is_shown_from_outside_the_folder(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (tmp_path / "bench").mkdir()
    paths = {"final": "../secret.png", "target": str(tmp_path / "secret.png"), "initial": "../secret.png"}
    trials = [trial(name, loss=0.0, psnr=120.0, history=(), images=paths) for name in ("fixed", "fixed-seconds")]
    write_report(tmp_path / "bench", content_of(trials), trials, CONTESTANTS, {"starry": 0.02})
    text = (tmp_path / "bench" / "report.html").read_text(encoding="utf-8")
    assert "Nothing to compare" in text and "nan" not in text.lower() and "data:image/" not in text
    exact = [trial(name, loss=0.0, psnr=120.0) for name in ("growth", "fixed")]
    assert compared(exact, "fixed").ratio == 1 and compared(exact, "fixed", "seconds").ratio == 1


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
    problems = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("console", lambda message: problems.append(message.text))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or problems.append(request.url))
        page.goto(written.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # Only tables may extend beyond the edge of the window.
        assert page.evaluate("""[...document.querySelectorAll("main *")].every(element =>
            element.closest("table, svg *") || element.getBoundingClientRect().right <= innerWidth)""")
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        for ink in (
            "getComputedStyle(document.body).color",
            "getComputedStyle(document.querySelector('svg text')).fill",
        ):
            levels = [int(level) for level in re.findall(r"\d+", page.evaluate(ink))]
            assert (np.mean(levels[:3]) > 128) == (scheme == "dark")
        browser.close()
    assert problems == []
