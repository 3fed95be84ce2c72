"""From the trials of a bench to what people read: figures, tables, plots, report, README."""

import csv
import io
import json
import math
import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import artpipe
from artpipe import BackendUnavailable, InputError
from artpipe.pipeline.bench.plots import colours_of, write_plots
from artpipe.pipeline.bench.readme import (
    headline_sentences,
    results_section,
    shortfall_sentences,
    update_readme,
)
from artpipe.pipeline.bench.report import write_report
from artpipe.pipeline.bench.summary import (
    best_so_far,
    error_at,
    head_to_head,
    in_order,
    mean_curve,
    not_won,
    reach,
    reaches,
    renderer_duel,
    reproduction,
    summarise,
    trials_of,
)
from artpipe.pipeline.bench.tables import markdown, rich_table, write_csv
from artpipe.pipeline.bench.trial import Trial

CONTESTANTS = {
    "baseline": "All circles at once, at random.",
    "fixed": "All circles at once, well placed.",
    "fixed-seconds": "The same for longer.",
    "growth": "Batch after batch.",
}


def trial(
    contestant="growth",
    painting="starry",
    seed=0,
    *,
    loss=0.004,
    renderer="jax",
    seconds=4.0,
    steps=1000,
    pairs=2e9,
    history=None,
    **others,
):
    """A trial whose loss falls tenfold, evenly in its logarithm, unless the history is given."""
    mse = loss / 4
    if history is None:
        history = [
            {
                "step": steps * share,
                "circles": 2048,
                "seconds": seconds * share,
                "pairs": pairs * share,
                "mse": mse * 10 ** (1 - share),
            }
            for share in (0.1, 0.25, 0.5, 0.75, 1.0)
        ]
    known = dict(
        contestant=contestant,
        renderer=renderer,
        painting=painting,
        seed=seed,
        circles=2048,
        steps=steps,
        mse=mse,
        psnr=artpipe.psnr(mse),
        seed_loss=loss,
        ssim=0.8,
        lpips=None,
        fit_seconds=seconds,
        compile_seconds=1.0,
        pairs=pairs,
        history=tuple(history),
        images={},
        device="cpu",
        kernel="numba",
    )
    return Trial(**(known | others))


def rows(*points):
    """A history from (step, circles, mse)."""
    return [{"step": s, "circles": c, "seconds": s / 100, "pairs": s * 1e6, "mse": e} for s, c, e in points]


def full_bench():
    """Four contestants, two renderers, two paintings, two seeds; `fixed-seconds` wins on the ducks."""
    losses = {"baseline": 0.02, "fixed": 0.005, "fixed-seconds": 0.0045, "growth": 0.004}
    seconds = {"baseline": 40.0, "fixed": 3.0, "fixed-seconds": 4.0, "growth": 4.0}
    return [
        trial(
            name,
            painting,
            seed,
            renderer=renderer,
            loss=loss * (1 + 0.01 * seed) * (0.5 if (name, painting) == ("fixed-seconds", "ducks") else 1),
            seconds=seconds[name] * (1.25 if renderer == "torch" else 1),
        )
        for name, loss in losses.items()
        for renderer in ("jax", "torch")
        for painting in ("starry", "ducks")
        for seed in (0, 1)
    ]


def bench_of(trials):
    return {
        "format": "artpipe-bench",
        "version": 1,
        "machine": {"cpu": "A & B", "cores": 2, "gpu": None, "python": "3.12", "packages": {"jax": "1"}, "load": 0.5},
        "options": {"count": 2048, "size": "256", "preset": "balanced", "trials": 2, "full": False},
        "trials": [one.to_json() for one in trials],
    }


# ---------------------------------------------------------------- figures


def test_a_mean_is_over_paintings_and_its_spread_over_seeds():
    trials = [
        trial(painting="a", seed=0, loss=0.001),
        trial(painting="b", seed=0, loss=0.003),
        trial(painting="a", seed=1, loss=0.003),
        trial(painting="b", seed=1, loss=0.005),
    ]
    (row,) = summarise(trials)
    figure = row.figures["seed_loss"]
    assert figure.mean == pytest.approx(0.003)
    assert figure.spread == pytest.approx(np.std([0.002, 0.004], ddof=1)) and figure.seeds == 2
    assert row.geometric_loss == pytest.approx(math.sqrt(0.002 * 0.004))


def test_a_seed_that_lacks_a_painting_does_not_blur_the_spread():
    trials = [trial(painting="a"), trial(painting="b"), trial(painting="a", seed=1, loss=0.4)]
    assert summarise(trials)[0].figures["seed_loss"].spread is None


def test_one_trial_has_figures_without_spread():
    (row,) = summarise([trial()])
    assert row.figures["seed_loss"].mean == 0.004 and row.figures["seed_loss"].spread is None
    assert "lpips" not in row.figures


def test_contestants_are_paired_by_painting_and_seed():
    trials = [
        trial("growth", "a", 0, loss=0.001),
        trial("growth", "a", 1, loss=9.0),  # the rival has no such seed
        trial("baseline", "a", 0, loss=0.002),
        trial("growth", "b", 0, loss=0.004),
        trial("baseline", "b", 0, loss=0.003),
        trial("growth", "c", 0),
    ]
    duel = head_to_head(trials, "growth", "baseline", "jax")
    assert duel.ratios == pytest.approx({"a": 0.5, "b": 4 / 3}) and duel.ratio == pytest.approx(1.0)
    assert duel.won == ["a"] and duel.not_won == ["b"]


def test_without_a_common_trial_there_is_no_comparison():
    assert head_to_head([trial()], "growth", "baseline", "jax") is None
    assert head_to_head([], "growth", "baseline", "jax") is None
    assert not_won([trial()]) == [] and renderer_duel([trial()], "growth") is None


def test_at_equal_seconds_the_slower_run_is_cut():
    slow = trial("baseline", loss=0.001, seconds=40.0)
    fast = trial("growth", loss=0.002, seconds=4.0)
    duel = head_to_head([slow, fast], "growth", "baseline", "jax", "seconds")
    ours, theirs = duel.values["starry"]
    assert ours == pytest.approx(0.002) and theirs == pytest.approx(0.001 * 10**0.9)
    assert head_to_head([slow, fast], "growth", "baseline", "jax", "end").won == []
    assert duel.won == ["starry"]


def test_runs_of_nearly_the_same_seconds_are_compared_at_their_ends():
    pair = [trial("growth", loss=0.001, seconds=4.1), trial("fixed", loss=0.002, seconds=4.0)]
    assert head_to_head(pair, "growth", "fixed", "jax", "seconds").values["starry"] == pytest.approx((0.001, 0.002))


def test_what_a_larger_pool_drew_counts_only_when_asked_for():
    history = rows((10, 256, 0.02), (20, 2560, 0.001), (90, 2560, 0.0008), (95, 2048, 0.002))
    one = trial(steps=100, seconds=1.0, pairs=1e8, loss=0.004, history=history)
    assert error_at(one, "steps", 90) == pytest.approx(0.02)
    assert error_at(one, "steps", 100) == pytest.approx(0.001)
    places, errors = best_so_far(one, "steps", with_pool=True)
    assert dict(zip(places, errors, strict=True))[90] == pytest.approx(0.0008)
    places, _ = best_so_far(one, "circles")
    assert places.max() == 2048


def test_an_empty_history_knows_the_end_alone():
    one = trial(history=[])
    assert error_at(one, "seconds", 3.9) is None
    assert error_at(one, "seconds", 4.0) == pytest.approx(0.001)
    assert reach(one, 30.0) == pytest.approx(4.0) and reach(one, 31.0) is None


histories = st.lists(
    st.tuples(st.floats(0, 1000), st.integers(1, 3000), st.floats(1e-6, 1.0)), min_size=1, max_size=12
).map(lambda points: rows(*points))


@given(histories, st.floats(0, 1000), st.floats(0, 1000))
def test_the_best_so_far_never_rises_and_is_never_below_what_was_measured(history, one, other):
    subject = trial(steps=1000, seconds=10.0, pairs=1e9, history=history)
    early, late = sorted((one, other))
    before, after = error_at(subject, "steps", early), error_at(subject, "steps", late)
    assert before is None or (after is not None and after <= before)
    counted = [row["mse"] for row in history if row["circles"] <= 2048] + [subject.mse]
    assert after is None or min(counted) * (1 - 1e-9) <= after <= max(counted) * (1 + 1e-9)


@given(histories, st.floats(1.0, 60.0))
def test_a_level_is_reached_where_the_best_so_far_crosses_it(history, level):
    subject = trial(steps=1000, seconds=10.0, pairs=1e9, history=history)
    place, wanted = reach(subject, level, "steps"), 10 ** (-level / 10)
    places, errors = best_so_far(subject, "steps")
    if place is None:
        assert errors[-1] > wanted
        return
    assert error_at(subject, "steps", place) <= wanted * (1 + 1e-6)
    assert all(error > wanted for error in errors[places < place * (1 - 1e-9)])


@given(histories, histories)
def test_at_equal_steps_it_does_not_matter_who_comes_first(first, second):
    pair = [trial("growth", history=first), trial("fixed", history=second)]
    ahead = head_to_head(pair, "growth", "fixed", "jax", "steps")
    behind = head_to_head(pair, "fixed", "growth", "jax", "steps")
    assert ahead.values["starry"] == behind.values["starry"][::-1]


def test_levels_are_the_reference_s_end_and_some_decibels_more():
    found = reaches([trial("baseline", loss=0.02, seconds=40.0), trial("growth", loss=0.004)])
    table = {(one.contestant, one.level): one for one in found}
    assert table["baseline", 0.0].seconds == pytest.approx(40.0)
    assert table["baseline", 1.0].seconds is None and table["baseline", 1.0].reached == 0
    assert table["growth", 3.0].seconds < 4.0 and table["growth", 3.0].reached == 1
    assert [one.level for one in reaches([trial()], levels=[20.0])] == [20.0]


def test_jax_and_pytorch_are_paired_and_compared_by_the_step():
    duel = renderer_duel(full_bench(), "growth")
    assert duel.seconds_ratio == pytest.approx(1.25) and duel.pairs == 4
    assert duel.spread == pytest.approx(0, abs=1e-12) and duel.loss_ratio == pytest.approx(1)


def test_deviations_from_published_losses_are_told_for_each_and_for_the_mean():
    trials = [trial("baseline", "a", loss=0.011), trial("baseline", "b", loss=0.03), trial("baseline", "c")]
    found = reproduction(trials, {"a": 0.010, "b": 0.03, "unknown": 1.0})
    assert found.deviations == pytest.approx({"a": 0.1, "b": 0.0})
    assert found.deviation_of_mean == pytest.approx(0.041 / 0.04 - 1)
    assert reproduction(trials, {}) is None


def test_where_growth_does_not_win_is_told():
    found = not_won(full_bench())
    ducks = [short for short in found if short.rival == "fixed-seconds" and short.axis == "end"]
    assert {short.painting for short in ducks} == {"ducks", None}  # the mean is lost with it
    assert all(short.value >= short.rivals_value for short in ducks)
    assert not any(short.rival == "baseline" and short.axis != "ssim" for short in found)
    sentences = shortfall_sentences(full_bench())
    assert any("fixed-seconds" in line and "ducks" in line and "Loss at the end" in line for line in sentences)


def test_being_as_good_is_not_winning():
    found = not_won([trial("growth"), trial("fixed")])
    assert {short.axis for short in found} >= {"end", "steps", "seconds", "pairs", "ssim", "time"}


def test_a_perfect_picture_breaks_nothing(tmp_path):
    perfect = [trial(name, loss=0.0) for name in CONTESTANTS]
    assert perfect[0].psnr == math.inf
    assert head_to_head(perfect, "growth", "baseline", "jax").ratio == 1
    assert "∞" in markdown(perfect, CONTESTANTS)
    write_report(tmp_path, bench_of(perfect), CONTESTANTS)
    unknown = [replace(one, psnr=None) for one in perfect]
    assert "–" not in markdown([trial()], CONTESTANTS) and "PSNR" not in markdown(unknown, CONTESTANTS)
    write_report(tmp_path, bench_of(unknown), CONTESTANTS)


def test_a_mean_curve_falls_from_where_all_began_to_the_last_end():
    across, up = mean_curve([trial(seconds=4.0), trial(seed=1, seconds=8.0)], "seconds")
    assert across[0] == pytest.approx(0.8) and across[-1] == pytest.approx(8.0)
    assert (np.diff(up) <= 1e-12).all() and up[-1] == pytest.approx(0.004)
    assert all(len(part) == 0 for part in mean_curve([], "seconds"))


def test_a_bench_of_another_kind_is_refused():
    with pytest.raises(InputError, match="version"):
        trials_of(bench_of([]) | {"version": 2})
    read = trials_of(json.loads(json.dumps(bench_of(full_bench()))))
    assert list(read) == full_bench()


# ---------------------------------------------------------------- tables and plots


def test_the_csv_has_a_row_a_trial_and_no_history(tmp_path):
    write_csv([trial(painting='odd, "name"'), trial(lpips=0.25)], tmp_path / "bench.csv")
    with (tmp_path / "bench.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert first["painting"] == 'odd, "name"' and first["lpips"] == "" and second["lpips"] == "0.25"
    assert float(first["seed_loss"]) == 0.004 and "history" not in first and "images" not in first


def test_the_markdown_table_is_in_the_order_of_the_contestants():
    lines = markdown(full_bench()[::-1], CONTESTANTS).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [name for name in CONTESTANTS for _ in range(2)]
    assert len({line.count("|") for line in lines}) == 1
    assert "4.02 ± 0.03" in lines[8] and "LPIPS" not in lines[0]


def test_names_cannot_break_a_markdown_table():
    odd = "a|b\n[c](d)<e>"
    table = markdown([trial(odd)], {odd: ""})
    assert len(table.splitlines()) == 3 and "a\\|b \\[c\\](d)\\<e\\>" in table


def test_the_rich_table_shows_names_as_they_are():
    from rich.console import Console

    console = Console(width=200, record=True, file=io.StringIO())
    console.print(rich_table([trial("[bold]odd"), *full_bench()], CONTESTANTS))
    text = console.export_text()
    assert "[bold]odd" in text and "4.02 ± 0.03" in text


def test_a_contestant_has_one_colour_whoever_else_takes_part():
    few, many = colours_of(["growth", "draft"]), colours_of([*CONTESTANTS, "draft", "best"])
    assert few["growth"] == many["growth"] and few["draft"] == many["draft"] and few["draft"] != few["growth"]


@pytest.mark.slow
def test_plots_are_written_as_png_and_svg(tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'artpipe[plots]'")
    paths = write_plots(full_bench(), tmp_path / "plots", CONTESTANTS)
    assert {path.suffix for path in paths} == {".png", ".svg"} and len(paths) == 8
    assert all(path.stat().st_size > 1000 for path in paths)


def test_without_matplotlib_the_command_that_installs_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'artpipe\[plots\]'"):
        write_plots(full_bench(), tmp_path / "plots", CONTESTANTS)
    write_report(tmp_path, bench_of(full_bench()), CONTESTANTS)
    assert "<svg" in (tmp_path / "report.html").read_text(encoding="utf-8")


# ---------------------------------------------------------------- the README


def test_the_readme_keeps_all_but_its_results(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- results -->\nold\n<!-- /results -->\nafter\n", encoding="utf-8")
    for _ in range(2):
        update_readme(path, "new \\1 figures\n")
        text = path.read_text(encoding="utf-8")
        assert text == "before\n<!-- results -->\nnew \\1 figures\n<!-- /results -->\nafter\n"


@pytest.mark.parametrize("text", ["", "<!-- results -->", "<!-- /results --> <!-- results -->"])
def test_a_readme_without_the_marks_is_left_alone(tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        update_readme(path, "new")
    assert "<!-- results -->" in str(caught.value) and "\n" not in str(caught.value)
    assert path.read_text(encoding="utf-8") == text


def test_the_results_section_is_short_and_says_what_is_lost():
    text = results_section(bench_of(full_bench()), CONTESTANTS)
    assert len(text.splitlines()) <= 36
    assert "2 cores" in text and "no GPU" in text and "does not win" in text and "fixed-seconds" in text
    assert all(len(line) <= 120 for line in text.splitlines() if not line.startswith("|"))


@pytest.mark.parametrize("kept", [[], ["growth"], ["baseline"], ["baseline", "growth"], ["fixed", "fixed-seconds"]])
def test_missing_contestants_leave_gaps_and_no_errors(tmp_path, kept):
    trials = [one for one in full_bench() if one.contestant in kept]
    assert results_section(bench_of(trials), CONTESTANTS)
    write_report(tmp_path, bench_of(trials), CONTESTANTS, published={"starry": 0.02})
    assert "nan" not in (tmp_path / "report.html").read_text(encoding="utf-8").lower()


def test_the_headline_names_both_rivals_and_both_renderers():
    text = " ".join(headline_sentences(full_bench()))
    assert "1/5.0 of the loss of baseline" in text and "1/10.0 of its seconds" in text
    assert "fixed-seconds" in text and "PyTorch takes 1.25" in text


# ---------------------------------------------------------------- the report


HOSTILE = '</title><script>alert(1)</script><img src=x onerror=alert(2)>"&{{body}}'


LONG = "growth_" + "without_any_space_" * 5


def written(folder, rng):
    """A report, with pictures, on a painting that has a hostile name and a contestant that has a long one."""
    (folder / "images").mkdir()
    names = {}
    for part in ("initial", "target", "final"):
        names[part] = f"images/{part}.png"
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).save(folder / names[part])
    trials = [
        replace(
            one,
            images=names,
            painting=HOSTILE if one.painting == "ducks" else one.painting,
            contestant=LONG if one.contestant == "fixed" else one.contestant,
        )
        for one in full_bench()
    ]
    words = {**CONTESTANTS, "growth": "<i>Batch</i>", LONG: LONG}
    write_report(folder, bench_of(trials), words, published={"starry": 0.021})
    return folder / "report.html"


def test_the_report_stands_alone(tmp_path, rng):
    text = written(tmp_path, rng).read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(|<script|<link(?! rel=\"icon\" href=\"data:)", text)
    assert all(link.startswith("data:") for link in re.findall(r"(?:src|href)=\"([^\"]*)", text))
    assert "default-src 'none'" in text and text.count("data:image/webp") == 2 * (1 + 2 * 4)


def test_the_report_escapes_what_users_wrote(tmp_path, rng):
    text = written(tmp_path, rng).read_text(encoding="utf-8")
    assert "<script" not in text and "<img src=x" not in text and "<i>Batch" not in text
    assert "&lt;script&gt;" in text and "{{body}}" in text and "&lt;i&gt;Batch" in text


def test_the_report_draws_no_picture_from_outside_its_folder(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (tmp_path / "bench").mkdir()
    paths = {"final": "../secret.png", "target": str(tmp_path / "secret.png"), "initial": "missing.png"}
    write_report(tmp_path / "bench", bench_of([trial(images=paths)]), CONTESTANTS)
    assert "data:image/" not in (tmp_path / "bench/report.html").read_text(encoding="utf-8")


def test_the_report_says_what_every_column_means(tmp_path, rng):
    text = written(tmp_path, rng).read_text(encoding="utf-8")
    headings = set(re.findall(r'<th scope="col">([^<]+)</th>', text))
    for heading in ("loss × 1000", "PSNR, dB", "loss at equal seconds", "loss at equal pairs", "seconds a step"):
        assert heading in headings and f"<dt>{heading}</dt>" in text


def test_trials_are_put_in_order_without_losing_any():
    trials = full_bench()
    assert sorted(one.key for one in in_order(trials, [])) == sorted(one.key for one in trials)
    assert next(iter(in_order(trials, ["growth"]))).contestant == "growth"


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (768, "dark"), (1920, "light")])
def test_the_report_opens_in_a_browser_without_a_word(tmp_path, rng, width, scheme):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on the path")
    path, problems, requests = written(tmp_path, rng), [], []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # Only tables may go on beyond the edge of the window.
        assert page.evaluate("""[...document.querySelectorAll("main *")].every(element =>
            element.closest("table, svg") || element.getBoundingClientRect().right <= innerWidth)""")
        assert page.evaluate("""[...document.querySelectorAll("svg.chart")].every(chart =>
            chart.getBoundingClientRect().right <= innerWidth)""")
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        levels = [int(level) for level in re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).color"))]
        assert (np.mean(levels[:3]) > 128) == (scheme == "dark")
        assert page.locator("svg.chart").count() >= 6
        browser.close()
    assert problems == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
