"""`artpipe bench`: the seed project's method, the contestants, the trials, and going on after an interruption."""

import csv
import json
import os
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from click.testing import CliRunner

from artpipe import InputError, load_fitting_renderer, mean_squared_error, render
from artpipe.pipeline.bench import machine
from artpipe.pipeline.bench.baseline import first_logits, open_baseline
from artpipe.pipeline.bench.contestants import CONTESTANTS, varied
from artpipe.pipeline.bench.likeness import perceptual_distance, structural_similarity
from artpipe.pipeline.bench.optimisers import OPTIMISERS, open_fixed, scales
from artpipe.pipeline.bench.options import BenchOptions
from artpipe.pipeline.bench.suite import Bench
from artpipe.pipeline.bench.trial import Trial
from artpipe.pipeline.cli.commands import main
from artpipe.pipeline.options import RunConfig
from artpipe.stages.pictures.picture import load_picture, save_png

WIDTH, HEIGHT = 20, 16
SMALL = BenchOptions(count=12, size="20", preset="draft", baseline_steps=40)
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
    """A small bench of all usual contestants in both frameworks on one picture."""
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


@pytest.mark.parametrize("renderer", ["jax", "torch"])
def test_the_baseline_begins_with_the_seed_projects_picture_and_loss(renderer, target):
    loss, picture = plain_step(first_logits(9, 0), target)
    baseline = open_baseline(renderer, target, 9, 0)
    np.testing.assert_allclose(render(baseline.scene()), picture, atol=2e-4)
    assert baseline.step() == pytest.approx(loss, rel=1e-3)


def test_the_first_logits_are_those_that_the_seed_project_draws():
    wanted = jax.random.uniform(jax.random.PRNGKey(0), (2048, 7), minval=-2.0, maxval=2.0)
    np.testing.assert_array_equal(first_logits(2048, 0), np.asarray(wanted))


def test_the_baseline_learns_alike_in_both_frameworks(target):
    losses = {}
    for renderer in ("jax", "torch"):
        baseline = open_baseline(renderer, target, 9, 1)
        losses[renderer] = [baseline.step() for _ in range(30)]
    assert losses["jax"][-1] < 0.7 * losses["jax"][0]
    np.testing.assert_allclose(losses["jax"], losses["torch"], rtol=2e-3)


def test_the_first_step_of_adam_moves_every_logit_by_its_rate(target):
    before = first_logits(5, 3)
    baseline = open_baseline("jax", target, 5, 3)
    baseline.step()
    width, height = WIDTH, HEIGHT
    x, y, opacity = (baseline.scene().column(name)[::-1].astype(np.float64) for name in ("x", "y", "opacity"))
    shares = np.stack([(x - 0.5) / width, (y - 0.5) / height, opacity], axis=1)
    moved = np.abs(np.log(shares / (1 - shares)) - before[:, [0, 1, 6]])
    np.testing.assert_allclose(moved, 0.05, rtol=2e-2)  # the rate, but for epsilon


@pytest.mark.slow
@pytest.mark.skipif(not SEED_PAINTINGS.is_dir(), reason="the seed project's paintings are not here")
def test_the_baseline_is_on_the_way_of_the_published_loss():
    """The whole way takes minutes for each painting (`artpipe bench --full --published`); this is its beginning.

    After 512 of 4096 steps it lies above the published loss, and less than twice as high.
    """
    with (SEED_PAINTINGS / "published.csv").open() as file:
        published = {row["image"]: row for row in csv.DictReader(file)}["starry"]
    baseline = open_baseline("jax", load_picture(SEED_PAINTINGS / published["file"], (256, 256)), 2048, 0)
    loss = [baseline.step() for _ in range(512)][-1]
    assert 1 < loss / float(published["jax_seed_loss"]) < 2


# Likeness.


def test_equal_pictures_have_a_structural_similarity_of_one(target):
    assert structural_similarity(target, target) == pytest.approx(1, abs=1e-12)


def test_structural_similarity_falls_with_noise_and_is_symmetric(target, rng):
    values = []
    for size in (0.02, 0.1, 0.4):
        noisy = np.clip(target + rng.normal(0, size, target.shape), 0, 1)
        values.append(structural_similarity(noisy, target))
        assert structural_similarity(target, noisy) == pytest.approx(values[-1])
    assert 1 > values[0] > values[1] > values[2] > 0


def test_two_flat_pictures_differ_in_light_alone():
    dark, light = np.full((16, 16, 3), 0.25), np.full((16, 16, 3), 0.75)
    wanted = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)  # of the paper's three terms only the first
    assert structural_similarity(dark, light) == pytest.approx(wanted)


def test_the_perceptual_distance_is_unknown_or_zero_for_equal_pictures(target):
    big = np.kron(target, np.ones((4, 4, 1), np.float32))
    assert perceptual_distance(big, big) in (None, pytest.approx(0, abs=1e-6))
    assert perceptual_distance(target[:8, :8], target[:8, :8]) is None


# Contestants.


def test_the_fixed_count_seeds_all_at_once_and_never_relocates():
    config = CONTESTANTS["fixed"].configure(RunConfig(count=30, growth=5))
    (seeding, settling) = config.plan()
    assert (seeding.count, seeding.growth) == (30, 30)
    assert seeding.steps + settling.steps == RunConfig().filled.steps


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [("seeder=gain", "seeder", "gain"), ("growth=64", "growth", 64), ("preset=draft,pool=1.5", "pool", 1.5)],
)
def test_a_varied_contestant_is_growth_with_those_options(text, name, value):
    key, contestant = varied(text)
    assert key.startswith("growth-") and text in contestant.sentence
    assert getattr(contestant.configure(RunConfig(count=99)), name) == value
    assert contestant.configure(RunConfig(count=99)).count == 99


def test_a_varied_rate_is_spelt_in_two_ways():
    for text in ("rates.position=2.5", "lr.position=2.5"):
        assert varied(text)[1].configure(RunConfig()).rates.position == 2.5


@pytest.mark.parametrize("text", ["", "growth", "growth=0", "growth=many", "colour=3", "rates.hue=1", "preset=quick"])
def test_a_bad_variation_is_refused_in_one_line(text):
    with pytest.raises(InputError) as refused:
        varied(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [{"contestants": ("winner",)}, {"contestants": ("growth", "fixed-seconds")}, {"size": "0"}, {"vary": ("x",)}],
)
def test_bad_options_of_a_bench_are_refused(options):
    with pytest.raises(InputError):
        BenchOptions(**options)


@pytest.mark.parametrize(
    ("renderer", "name"),
    [("jax", name) for name in OPTIMISERS] + [("torch", name) for name, known in OPTIMISERS.items() if known[2]],
)
def test_every_optimiser_lowers_the_loss_of_the_fixed_count(renderer, name, target):
    config = RunConfig(count=12, growth=12, renderer=renderer, preset="draft")
    fit = open_fixed(name, target, config)
    first = mean_squared_error(render(fit.scene()), target)
    losses = [fit.step(1.0) for _ in range(60)]
    assert losses[0] == pytest.approx(first, rel=1e-3)
    assert mean_squared_error(render(fit.scene()), target) < 0.8 * first


def test_optaxs_adam_goes_the_way_of_our_own_fit(target):
    """All rows have one age here, so that moments by rows are plain moments."""
    config = RunConfig(count=12, growth=12, renderer="jax")
    fit = open_fixed("adam", target, config)
    own = load_fitting_renderer("jax").fit(target, fit.scene().canvas, config.fit_settings())
    own.put(fit.scene())
    for _ in range(10):
        fit.step(1.0)
    own.step([1.0] * 10)
    np.testing.assert_allclose(fit.scene().rows, own.scene().rows, rtol=5e-2, atol=5e-2)


def test_the_rates_of_another_optimiser_fall_at_the_end_as_ours_do():
    factors = scales(RunConfig(preset="balanced", steps=100))
    assert len(factors) == 100 and factors[:90] == [1.0] * 90
    assert factors[90:] == sorted(factors[90:], reverse=True) and 0 < factors[-1] < 0.05


def test_an_optimiser_that_a_framework_lacks_is_refused():
    with pytest.raises(InputError, match="--renderer jax"):
        BenchOptions(optimisers=("lion",))
    assert "fixed-lion" in BenchOptions(optimisers=("lion",), renderers=("jax",)).competing


# Trials.


def test_every_contestant_is_tried_on_every_picture_in_both_frameworks(finished):
    _, trials = finished
    wanted = {
        (contestant, renderer, "one")
        for contestant in ("baseline", "fixed", "fixed-seconds", "growth")
        for renderer in ("jax", "torch")
    }
    assert {(t.contestant, t.renderer, t.painting) for t in trials} == wanted and len(trials) == len(wanted)


def test_a_trial_tells_what_its_picture_shows(finished, pictures):
    bench, trials = finished
    for trial in trials:
        assert trial.circles == 12 and trial.seed_loss == pytest.approx(4 * trial.mse)
        assert trial.psnr == pytest.approx(-10 * np.log10(trial.mse))
        images = {name: load_picture(bench.folder / path, (WIDTH, HEIGHT)) for name, path in trial.images.items()}
        # Its pictures are rounded to 8 bits.
        assert mean_squared_error(images["final"], images["target"]) == pytest.approx(trial.mse, rel=0.02, abs=2e-5)
        np.testing.assert_array_equal(images["target"], load_picture(pictures[0]))
        assert not np.array_equal(images["initial"], images["final"])


def test_the_history_of_a_trial_goes_forward_and_ends_with_it(finished):
    for trial in finished[1]:
        for name in ("step", "seconds", "pairs"):
            values = [row[name] for row in trial.history]
            assert values == sorted(values) and values[0] > 0
        last = trial.history[-1]
        assert last["step"] == trial.steps and last["pairs"] == trial.pairs
        assert last["seconds"] == pytest.approx(trial.fit_seconds, abs=0.05)


def test_each_contestant_takes_the_steps_that_it_is_given(finished):
    steps = {(t.contestant, t.renderer): t.steps for t in finished[1]}
    for renderer in ("jax", "torch"):
        assert steps["baseline", renderer] == 40
        assert steps["fixed", renderer] == steps["growth", renderer] == 370
        assert steps["fixed-seconds", renderer] > 0


def test_growth_beats_the_baseline_even_here(finished):
    loss = {(t.contestant, t.renderer): t.mse for t in finished[1]}
    for renderer in ("jax", "torch"):
        assert loss["growth", renderer] < loss["baseline", renderer]


def test_trials_come_back_from_their_files_as_they_were(finished):
    bench, trials = finished
    for trial in trials:
        kept = json.loads((bench.folder / "trials" / f"{trial.key}.json").read_text())
        assert Trial.from_json(kept) == Trial.from_json(trial.to_json()) == trial


def test_a_bench_goes_on_where_it_stopped(pictures, tmp_path):
    contestants = ("fixed", "growth", "fixed-seconds")
    options = BenchOptions(count=6, size="20", preset="draft", renderers=("jax",), contestants=contestants)
    begun = Bench.open(tmp_path / "bench", options, pictures)
    trials = begun.run()
    first = [next(trials), next(trials), next(trials)]
    trials.close()
    resumed = Bench.open(tmp_path / "bench", options, pictures)
    assert list(resumed.trials.values()) == sorted(first, key=lambda trial: trial.key)
    rest = list(resumed.run())
    assert len(rest) == len(resumed.planned) - 3 and not {t.key for t in first} & {t.key for t in rest}
    assert [t["contestant"] for t in resumed.content()["trials"]] == [planned[0] for planned in resumed.planned]


def test_a_folder_with_another_bench_is_refused_and_left_alone(finished, pictures):
    bench, _ = finished
    for options, others in ((BenchOptions(count=13, size="20", preset="draft"), pictures[:1]), (SMALL, pictures)):
        with pytest.raises(InputError, match=r"another|other"):
            Bench.open(bench.folder, options, others)
    assert Bench.open(bench.folder, SMALL, pictures[:1]).trials == bench.trials


# What a bench or sweep is begun with, and what comes of it on something else.
ELSEWHERE = {"sources": "0a1b2c", "jax": "0.1", "torch": None, "cpu": "another", "cores": 999}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_bench_does_not_go_on_on_other_code_packages_or_machines(finished, pictures, tmp_path, name):
    folder = shutil.copytree(finished[0].folder, tmp_path / "bench")
    begun = json.loads((folder / "options.json").read_text())
    now = begun["environment"].pop(name)
    if ELSEWHERE[name] is not None:
        begun["environment"][name] = ELSEWHERE[name]
    (folder / "options.json").write_text(json.dumps(begun))
    with pytest.raises(
        InputError, match=f"begun with {name} {ELSEWHERE[name] or 'unknown'} .now {re.escape(str(now))}"
    ):
        Bench.open(folder, SMALL, pictures[:1])


def test_a_bench_that_does_not_say_what_it_was_begun_with_is_refused_in_one_line(finished, pictures, tmp_path):
    folder = shutil.copytree(finished[0].folder, tmp_path / "bench")
    for content in (json.dumps(finished[0].identity), "words", "[]"):
        (folder / "options.json").write_text(content)
        with pytest.raises(InputError) as refusal:
            Bench.open(folder, SMALL, pictures[:1])
        assert "\n" not in str(refusal.value)


def test_the_digest_of_the_sources_changes_with_those_that_compute_alone(tmp_path, monkeypatch):
    def digest(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return machine.source_digest()

    whole = machine.source_digest()
    monkeypatch.setattr(machine, "files", lambda package: tmp_path / package.split(".")[1])
    seen = [whole, digest("renderers/scene.py", "1"), digest("renderers/scene.py", "2"), digest("stages/new.py", "")]
    seen += [digest("pipeline/bench/baseline.py", ""), digest("pipeline/config.py", "")]
    assert len(set(seen)) == len(seen)
    for name in ("stages/exporters/svg.py", "pipeline/bench/report.py", "pipeline/artpipe/__init__.py"):
        assert digest(name, "new") == seen[-1]


def test_pictures_of_any_name_can_be_benched(pictures, tmp_path):
    names = ["x" * 251 + ".png", "a\x1b[31m\nb.png", ".png"]
    for name in names:
        shutil.copy(pictures[0], tmp_path / name)
    result = run_bench(*(tmp_path / name for name in names), *TINY, "--contestant", "growth", "-o", tmp_path / "bench")
    assert result.exit_code == 0, result.output
    assert result.output.replace("\n", "").isprintable()
    trials = json.loads((tmp_path / "bench" / "bench.json").read_text())["trials"]
    assert [trial["painting"] for trial in trials] == ["x" * 251, "a_[31m_b", "painting"]
    assert all((tmp_path / "bench" / file).is_file() for trial in trials for file in trial["images"].values())


def test_the_same_seed_gives_the_same_losses(finished, pictures, tmp_path):
    options = BenchOptions(**{**vars(SMALL), "renderers": ("jax",), "contestants": ("growth", "fixed")})
    again = {trial.key: trial.mse for trial in Bench.open(tmp_path / "again", options, pictures[:1]).run()}
    for trial in finished[1]:
        if trial.key in again:
            assert trial.mse == again[trial.key]


# The command line.


def run_bench(*words):
    result = CliRunner().invoke(main, ["bench", *(str(word) for word in words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


TINY = ["--circles", 6, "--size", 20, "--preset", "draft", "--baseline-steps", 5, "--renderer", "jax"]


def test_bench_takes_pictures_without_the_name_of_its_command(pictures, tmp_path):
    result = run_bench(pictures[0], *TINY, "--contestant", "growth", "-o", tmp_path / "bench")
    assert result.exit_code == 0, result.output
    files = {path.name for path in (tmp_path / "bench").iterdir()}
    assert files >= {"bench.json", "bench.csv", "results.md", "report.html", "trials", "images"}
    content = json.loads((tmp_path / "bench" / "bench.json").read_text())
    assert content["format"] == "artpipe-bench" and len(content["trials"]) == 1
    assert content["machine"]["cores"] >= 1 and "numba" in content["machine"]["packages"]
    assert "report.html" in result.stdout.splitlines()[-1]
    again = run_bench(pictures[0], *TINY, "--contestant", "growth", "-o", tmp_path / "bench")
    assert again.exit_code == 0 and "1 of 1 trials stand" in again.stderr


@pytest.mark.slow
def test_bench_takes_variations_published_losses_and_a_readme(pictures, tmp_path):
    table, readme = tmp_path / "published.csv", tmp_path / "README.md"
    table.write_text("image,jax_seed_loss\none,0.01\n")
    readme.write_text("before\n<!-- results -->\nold\n<!-- /results -->\nafter\n")
    words = (
        *TINY,
        "--contestant",
        "baseline",
        "--contestant",
        "growth",
        "--vary",
        "seeder=grid",
        "--optimizer",
        "lion",
        "--json",
        "-q",
    )
    result = run_bench(pictures[0], *words, "--published", table, "--readme", readme, "-o", tmp_path / "bench")
    assert result.exit_code == 0 and result.stderr == ""
    trials = json.loads(result.stdout)["trials"]
    assert [trial["contestant"] for trial in trials] == ["baseline", "growth", "fixed-lion", "growth-seeder=grid"]
    assert "published" in (tmp_path / "bench" / "report.html").read_text().lower()
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text and "growth" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.png"], "missing.png"),
        (["{picture}", "--vary", "growth"], "NAME=VALUE"),
        (["{picture}", "{picture}"], "name of its own"),
        (["{picture}", "--published", "missing.csv"], "missing.csv"),
        ([], "no picture is named"),
    ],
)
def test_bench_refuses_in_one_line_and_begins_nothing(words, said, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run_bench(*(word.format(picture=pictures[0]) for word in words))
    assert result.exit_code == 1 and result.stdout == "" and len(result.stderr.splitlines()) == 1
    assert said in result.stderr
    assert not list(tmp_path.glob("**/trials/*"))


@pytest.mark.parametrize("words", [("--contestant", "winner"), ("--optimizer", "sgd"), ("--trials", 0)], ids=str)
def test_an_option_that_bench_cannot_use_is_a_usage_error(words, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run_bench(pictures[0], *words)
    assert result.exit_code == 2 and words[0] in result.stderr and not any(tmp_path.iterdir())
