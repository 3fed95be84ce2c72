"""`artpipe bench`: the seed project's method, the contestants, the trials, and resuming."""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from command_line import refusal, succeeded

from artpipe import InputError, load_fitting_renderer, mean_squared_error, render
from artpipe.pipeline.bench import machine
from artpipe.pipeline.bench.baseline import first_logits, open_baseline
from artpipe.pipeline.bench.contestants import CONTESTANTS, varied
from artpipe.pipeline.bench.optimisers import OPTIMISERS, open_fixed, scales
from artpipe.pipeline.bench.options import BenchOptions
from artpipe.pipeline.bench.suite import Bench
from artpipe.pipeline.bench.trial import Trial
from artpipe.pipeline.options import RunConfig
from artpipe.stages.pictures.picture import load_picture, save_png

WIDTH, HEIGHT = 20, 16
SMALL = BenchOptions(count=12, size="20", preset="draft", baseline_steps=40, contestants=("baseline", "growth"))
STEPS = RunConfig(count=12, preset="draft").filled.steps
WORDS = ["--circles", 12, "--size", 20, "--preset", "draft", "--baseline-steps", 40, "--contestant", "growth"]
SEED_PAINTINGS = Path(os.environ.get("ARTPIPE_SEED_PAINTINGS", Path(__file__).parents[2] / "shared/paintings/seed"))


@pytest.fixture(scope="module")
def target():
    across, down = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    image = np.stack([across, down, 0.5 + 0.4 * np.sin(9 * across * down)], axis=2)
    image[(across - 0.4) ** 2 + (down - 0.5) ** 2 < 0.05] = (0.9, 0.2, 0.1)
    return image.astype(np.float32)


@pytest.fixture(scope="module")
def pictures(target, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    save_png(target, folder / "one.png")
    save_png(target[::-1], folder / "two.png")
    return [folder / "one.png", folder / "two.png"]


@pytest.fixture(scope="module")
def finished(pictures, tmp_path_factory):
    """A small bench in both frameworks on one picture."""
    bench = Bench.open(tmp_path_factory.mktemp("bench"), SMALL, pictures[:1])
    return bench, list(bench.run())


# The seed project's method.


def plain_step(logits, target):
    """Its loss and picture by the words of its README: dense, row 0 in front, on white, values in [-1, 1]."""
    height, width = target.shape[:2]
    share = 1 / (1 + np.exp(-logits.astype(np.float64)))
    down, across = np.mgrid[:height, :width]
    picture, light = np.zeros((height, width, 3)), np.ones((height, width, 1))
    for x, y, radius, *colour, opacity in share:
        z = ((across - x * width) ** 2 + (down - y * height) ** 2 - (radius * min(width, height) / 2 + 1) ** 2) / 10
        alpha = (opacity / (1 + np.exp(z)))[:, :, None]
        picture += light * alpha * (2 * np.array(colour) - 1)
        light = light * (1 - alpha)
    picture += light
    return np.mean((picture - (2 * target - 1)) ** 2), (picture + 1) / 2


def test_the_baseline_takes_the_seed_projects_steps_in_both_frameworks(target):
    logits = first_logits(9, 1)
    wanted = jax.random.uniform(jax.random.PRNGKey(1), (9, 7), minval=-2.0, maxval=2.0)
    np.testing.assert_array_equal(logits, np.asarray(wanted))
    loss, picture = plain_step(logits, target)
    losses = {}
    for renderer in ("jax", "torch"):
        baseline = open_baseline(renderer, target, 9, 1)
        np.testing.assert_allclose(render(baseline.scene()), picture, atol=2e-4)
        losses[renderer] = [4 * baseline.step()]
        x, y, opacity = (baseline.scene().column(name)[::-1].astype(np.float64) for name in ("x", "y", "opacity"))
        shares = np.stack([(x - 0.5) / WIDTH, (y - 0.5) / HEIGHT, opacity], axis=1)
        moved = np.abs(np.log(shares / (1 - shares)) - logits[:, [0, 1, 6]])
        np.testing.assert_allclose(moved, 0.05, rtol=5e-2)  # Adam's first step is the rate, but for epsilon
        losses[renderer] += [4 * baseline.step() for _ in range(30)]
        assert losses[renderer][0] == pytest.approx(loss, rel=1e-3)
    assert losses["jax"][-1] < 0.7 * losses["jax"][0]
    np.testing.assert_allclose(losses["jax"], losses["torch"], rtol=2e-3)


@pytest.mark.slow
@pytest.mark.skipif(not SEED_PAINTINGS.is_dir(), reason="the seed project's paintings are not here")
def test_the_baseline_is_on_the_way_to_the_published_loss():
    """After 512 of 4096 steps it is above the published loss, and less than twice as high."""
    with (SEED_PAINTINGS / "published.csv").open() as file:
        published = {row["image"]: row for row in csv.DictReader(file)}["starry"]
    baseline = open_baseline("jax", load_picture(SEED_PAINTINGS / published["file"], (256, 256)), 2048, 0)
    loss = 4 * [baseline.step() for _ in range(512)][-1]
    assert 1 < loss / float(published["jax_seed_loss"]) < 2


# Contestants.


def test_the_fixed_count_seeds_all_at_once_and_never_relocates_with_rates_that_fall_at_the_end():
    (seeding, settling) = CONTESTANTS["fixed"].configure(RunConfig(count=30, growth=5)).plan()
    assert (seeding.count, seeding.growth) == (30, 30)
    assert seeding.steps + settling.steps == RunConfig(count=30).filled.steps
    factors = scales(RunConfig(preset="balanced", steps=100))  # under another optimiser
    assert len(factors) == 100 and factors[:90] == [1.0] * 90
    assert factors[90:] == sorted(factors[90:], reverse=True) and 0 < factors[-1] < 0.05


@pytest.mark.parametrize(
    ("text", "part", "value"),
    [
        ("seeder=gain", "seeder", "gain"), ("growth=64", "growth", 64), ("preset=draft,pool=1.5", "pool", 1.5),
        ("rates.position=2.5", "rates", 2.5), ("lr.position=2.5", "rates", 2.5),
    ],
)  # fmt: skip
def test_a_varied_contestant_is_growth_with_those_options(text, part, value):
    key, contestant = varied(text)
    config = contestant.configure(RunConfig(count=99))
    assert key.startswith("growth-") and text in contestant.description and config.count == 99
    assert (config.rates.position if part == "rates" else getattr(config, part)) == value


@pytest.mark.parametrize(
    "options",
    [
        {"contestants": ("winner",)}, {"contestants": ("growth", "fixed-seconds")}, {"contestants": ()}, {"size": "0"},
        {"optimisers": ("lion",), "renderers": ("torch",)}, {"optimisers": ("sgd",)}, {"trials": 0},
        *({"vary": (text,)} for text in ("", "growth", "growth=0", "growth=many", "colour=3", "rates.hue=1")),
    ],
    ids=str,
)  # fmt: skip
def test_options_of_a_bench_that_are_invalid_are_refused_in_one_line(options):
    with pytest.raises(InputError) as refused:
        BenchOptions(**options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("renderer", "name"),
    [
        pytest.param(renderer, name, marks=[] if (renderer, name) == ("torch", "rmsprop") else pytest.mark.slow)
        for name, known in OPTIMISERS.items()
        for renderer in (["jax", "torch"] if known.torch else ["jax"])
    ],
)
def test_every_optimiser_lowers_the_loss_of_the_fixed_count(renderer, name, target):
    config = RunConfig(count=12, growth=12, renderer=renderer, seeder="random", preset="draft", shape="circle,ellipse")
    fit = open_fixed(name, target, config)
    first = mean_squared_error(render(fit.scene()), target)
    losses = [fit.step() for _ in range(60)]
    assert losses[0] == pytest.approx(first, rel=1e-3)
    assert mean_squared_error(render(fit.scene()), target) < 0.8 * first


def test_adam_of_both_frameworks_takes_the_steps_of_our_own_fit(target):
    """All rows have one age here, so moments by rows are plain moments."""
    config = RunConfig(count=12, growth=12, renderer="jax")
    fits = [open_fixed("adam", target, RunConfig(count=12, growth=12, renderer=name)) for name in ("jax", "torch")]
    own = load_fitting_renderer("jax").fit(target, fits[0].scene().canvas, config.fit_settings(*target.shape[1::-1]))
    own.put(fits[0].scene())
    own.step([0.1] * 10)
    for fit in fits:
        for _ in range(10):
            fit.step(0.1)
        np.testing.assert_allclose(fit.scene().rows, own.scene().rows, rtol=5e-2, atol=5e-2)


# Trials.


def test_every_contestant_runs_in_both_frameworks_with_its_steps_and_growth_beats_the_baseline(finished):
    steps = {(t.contestant, t.renderer): t.steps for t in finished[1]}
    loss = {(t.contestant, t.renderer): t.mse for t in finished[1]}
    wanted = {"baseline": 40, "growth": STEPS}
    assert steps == {(name, renderer): wanted[name] for name in wanted for renderer in ("jax", "torch")}
    assert all(loss["growth", renderer] < loss["baseline", renderer] for renderer in ("jax", "torch"))


def test_a_trial_records_what_its_pictures_show_and_its_history_ends_with_it(finished, pictures):
    bench, trials = finished
    for trial in trials:
        assert trial.shapes == 12 and trial.seed_loss == pytest.approx(4 * trial.mse)
        assert trial.psnr == pytest.approx(-10 * np.log10(trial.mse))
        images = {name: load_picture(bench.folder / path, (WIDTH, HEIGHT)) for name, path in trial.images.items()}
        # Its pictures are rounded to 8 bits.
        assert mean_squared_error(images["final"], images["target"]) == pytest.approx(trial.mse, rel=0.02, abs=2e-5)
        np.testing.assert_array_equal(images["target"], load_picture(pictures[0]))
        assert not np.array_equal(images["initial"], images["final"])
        for name in ("step", "seconds", "pairs"):
            values = [row[name] for row in trial.history]
            assert values == sorted(values) and values[0] > 0
        last = trial.history[-1]
        assert last["step"] == trial.steps and last["pairs"] == trial.pairs
        assert last["seconds"] == pytest.approx(trial.fit_seconds, abs=0.05)


def test_an_interrupted_bench_resumes_with_the_same_trials_and_losses(finished, pictures, tmp_path):
    contestants = ("fixed", "growth", "fixed-seconds")
    options = BenchOptions(**{**vars(SMALL), "renderers": ("jax",), "contestants": contestants})
    trials = Bench.open(tmp_path / "bench", options, pictures).run()
    first = [next(trials), next(trials)]
    trials.close()
    resumed = Bench.open(tmp_path / "bench", options, pictures)
    assert list(resumed.trials.values()) == sorted(first, key=lambda trial: trial.key)
    rest = [next(run) for run in [resumed.run()] for _ in range(3)]
    assert not {t.key for t in first} & {t.key for t in rest}
    assert [t["contestant"] for t in resumed.content()["trials"]] == [p[0] for p in resumed.planned[:5]]
    assert [t.steps for t in first] == [STEPS, STEPS] and rest[0].contestant == "fixed-seconds" and rest[0].steps > 0
    losses = {t.key: t.mse for t in first + rest}
    (same,) = (trial for trial in finished[1] if trial.key in losses)  # growth in JAX
    assert same.mse == losses[same.key]
    kept = json.loads((tmp_path / "bench" / "trials" / f"{first[0].key}.json").read_text())
    assert Trial.from_json(kept) == first[0]


OTHER = {"sources": "0a1b2c", "jax": "0.1", "torch": None, "cpu": "another", "cores": 999, "count": 13, "paintings": {}}


@pytest.mark.parametrize("name", OTHER)
def test_a_bench_of_other_options_pictures_code_packages_or_machine_is_refused(finished, pictures, tmp_path, name):
    (tmp_path / "trials").mkdir()
    begun = json.loads((finished[0].folder / "options.json").read_text())
    now = begun.pop(name)
    if OTHER[name] is not None:
        begun[name] = OTHER[name]
    (tmp_path / "options.json").write_text(json.dumps(begun))
    with pytest.raises(InputError) as refused:
        Bench.open(tmp_path, SMALL, pictures[:1])
    former = "unknown" if OTHER[name] is None else OTHER[name]
    assert f"started with {name} {former} (now {now})" in str(refused.value)


def test_the_digest_of_the_sources_changes_with_any_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "files", lambda package: tmp_path / package.split(".")[1])
    seen = [machine.source_digest()]
    for name, text in (("renderers/a.py", "1"), ("renderers/a.py", "2"), ("stages/b/c.py", ""), ("pipeline/d.py", "")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        seen.append(machine.source_digest())
    assert len(set(seen)) == len(seen)


def test_a_folder_that_holds_something_else_is_refused_in_one_line(pictures, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "note.txt").write_text("mine")
    for content in ("{}", "words", "[]"):
        (tmp_path / "options.json").write_text(content)
        for folder in (tmp_path, tmp_path / "other"):
            with pytest.raises(InputError) as refused:
                Bench.open(folder, SMALL, pictures[:1])
            assert "\n" not in str(refused.value)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["note.txt"]


# The command line.


def test_bench_resumes_and_writes_its_files(finished, pictures, tmp_path):
    folder, published = finished[0].folder, tmp_path / "published.csv"
    published.write_text("image,jax_seed_loss\none,0.01\n")
    words = ["bench", pictures[0], "--contestant", "baseline", *WORDS, "--published", published, "-o", folder]
    done = succeeded(*words, "--json")
    assert "4 of 4 trials are done" in done.stderr
    content = json.loads((folder / "bench.json").read_text())
    assert json.loads(done.stdout) == content and content["format"] == "artpipe-bench"
    assert content["machine"]["cores"] >= 1 and "numba" in content["machine"]["packages"]
    assert [Trial.from_json(trial) for trial in content["trials"]] == finished[1]
    rows = csv.DictReader((folder / "bench.csv").open(encoding="utf-8"))
    assert {float(row["seed_loss"]) for row in rows} == {trial.seed_loss for trial in finished[1]}
    assert "published losses" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_bench_runs_the_fixed_count_under_another_optimiser(pictures, tmp_path):
    succeeded("bench", pictures[0], *WORDS, "--renderer", "jax", "--optimizer", "lion", "-o", tmp_path / "bench")
    trials = json.loads((tmp_path / "bench" / "bench.json").read_text())["trials"]
    steps = RunConfig(count=12, preset="draft").filled.steps
    assert [(trial["contestant"], trial["steps"]) for trial in trials] == [("growth", steps), ("fixed-lion", steps)]
    assert all(0 < trial["mse"] < 0.1 for trial in trials)


def test_bench_takes_pictures_of_any_name_and_variations(pictures, tmp_path):
    picture = shutil.copy(pictures[0], tmp_path / ("a\x1b[31m\n" + "x" * 240 + ".png"))
    words = [*WORDS, "--renderer", "jax", "--vary", "seeder=grid", "-o", tmp_path / "bench"]
    done = succeeded("bench", picture, *words)
    assert done.output.replace("\n", "").isprintable() and "report.html" in done.stdout.splitlines()[-1]
    trials = json.loads((tmp_path / "bench" / "bench.json").read_text())["trials"]
    assert {trial["painting"] for trial in trials} == {"a_[31m_" + "x" * 240}
    assert [trial["contestant"] for trial in trials] == ["growth", "growth-seeder=grid"]
    assert all((tmp_path / "bench" / file).is_file() for trial in trials for file in trial["images"].values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.png"], "missing.png"),
        (["{picture}", "--vary", "growth"], "NAME=VALUE"),
        (["{picture}", "{picture}"], "different names"),
        (["{picture}", "--published", "missing.csv"], "missing.csv"),
        ([], "no picture is given"),
    ],
)
def test_bench_refuses_in_one_line_and_writes_nothing(words, said, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in refusal("bench", *(word.format(picture=pictures[0]) for word in words))
    assert not any(tmp_path.iterdir())


def test_bench_names_the_extra_that_is_missing(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for package, words in (("jinja2", [pictures[0]]), ("optuna", ["sweep", pictures[0], "--param", "growth=1,2"])):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
        message = refusal("bench", *words)
        assert package in message and "pip install 'artpipe[bench]'" in message
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_bench_renderers_times_every_renderer_and_shape():
    rows = json.loads(succeeded("bench", "renderers", "--repeats", 1, "--json").stdout)
    assert {row["renderer"] for row in rows} == {"kernel", "jax", "torch"}
    assert {row["shape"] for row in rows} == {"circle", "ellipse", "stroke", "triangle"}
    assert len(rows) == 12 and all(row["milliseconds"] > 0 for row in rows)


@pytest.mark.slow
def test_bench_command_times_the_parts_of_whole_runs(tmp_path, rng):
    save_png(rng.random((12, 16, 3), np.float32), tmp_path / "a.png")
    words = ("bench", "command", tmp_path / "a.png", "--repeats", 1, "--max", 3, "--steps", 5, "--size", 16)
    (row,) = json.loads(succeeded(*words, "--json").stdout)
    assert row["picture"] == "a"
    seconds = row["seconds"]
    parts = [
        "start, imports", "framework", "decode", "warm-up, compile", "fit", "metrics, checkpoints", "save", "exports",
        "exit", "the rest",
    ]  # fmt: skip
    assert all(seconds[part] >= -0.01 for part in seconds)
    assert sum(seconds[part] for part in parts) == pytest.approx(seconds["all"], abs=0.01)
    assert seconds["all but the fit"] == pytest.approx(seconds["all"] - seconds["fit"], abs=0.001)
    assert {"export painting.svg", "export timelapse.gif", "export viewer.html"} <= set(seconds)


def test_bench_command_says_why_a_run_failed(tmp_path):
    assert "there is no file" in refusal("bench", "command", tmp_path / "missing.png")
