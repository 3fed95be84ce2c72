"""`artpipe bench sweep`: what may be swept, how trials are judged, and the folder that processes share."""

import csv
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from command_line import refusal, succeeded
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

import artpipe
from artpipe import InputError, Rates
from artpipe.pipeline.bench.command import show_sweep
from artpipe.pipeline.bench.machine import environment
from artpipe.pipeline.bench.options import SweepOptions
from artpipe.pipeline.bench.space import parse_param
from artpipe.pipeline.bench.sweep import Sweep
from artpipe.pipeline.folders.rundir import load_config
from artpipe.pipeline.options import RunConfig
from artpipe.pipeline.presets import PRESETS
from artpipe.renderers.options import changed
from artpipe.stages.pictures.picture import save_png

WIDTH, HEIGHT = 24, 20
BASE = RunConfig(size=WIDTH, growth=4, count=8, steps=10)
SPACE = ["lr.position=0.2:1", "growth=2,4,8"]
MANY = 1_000_000


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    across, down = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    paths = [tmp_path_factory.mktemp("pictures") / f"picture_{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        image = np.stack([across, down, 0.5 + 0.4 * np.sin((5 + number) * across * down)], axis=2)
        image[(across - 0.2 * number) ** 2 + (down - 0.6) ** 2 < 0.05] = (0.9, 0.2, 0.1)
        save_png(image, path)
    return paths


def swept(pictures, folder, space=SPACE, base=BASE, **options):
    """The result of a sweep."""
    at_work = Sweep(pictures, space, folder, base, SweepOptions(**options))
    done = list(at_work.run())
    assert list(at_work.result().trials[len(at_work.result().trials) - len(done) :]) == done
    return at_work.result()


def values_of(result):
    return [trial.values for trial in result.trials]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def finished(pictures, tmp_path_factory):
    """The result of a sweep that is done, and its folder, not to be written to."""
    folder = tmp_path_factory.mktemp("finished") / "sweep"
    return swept(pictures, folder, [*SPACE, "lr.colour=1e-5,0.015"], trials=6, repeats=2), folder


# --- parameters ---


@pytest.mark.parametrize(
    ("text", "name", "distribution"),
    [
        ("rates.position=0.2:1.0", "rates.position", FloatDistribution(0.2, 1.0)),
        ("lr.colour=0.001:0.1", "rates.colour", FloatDistribution(0.001, 0.1, log=True)),
        ("rate-radius=0.05:0.1:log", "rates.radius", FloatDistribution(0.05, 0.1, log=True)),
        ("rate_radius =0:0.1", "rates.radius", FloatDistribution(0.0, 0.1)),
        ("growth=64:512", "growth", IntDistribution(64, 512)),
        ("steps=100:1000", "steps", IntDistribution(100, 1000, log=True)),
        ("growth=64,128,256", "growth", CategoricalDistribution((64, 128, 256))),
        ("pool=1, 1.5", "pool", CategoricalDistribution((1.0, 1.5))),
        ("relocate-every=5,9", "relocate_every", CategoricalDistribution((5, 9))),
        ("seeder=error,grid", "seeder", CategoricalDistribution(("error", "grid"))),
        ("rates.colour", "rates.colour", FloatDistribution(0.003, 0.06, log=True)),
        ("preset", "preset", CategoricalDistribution(tuple(PRESETS))),
    ],
)
def test_a_parameter_is_a_range_or_choices(text, name, distribution):
    assert parse_param(text) == (name, distribution)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("colour=0:1", "rates.colour"), ("count=8,16", "'count' cannot be swept"), ("", "'' cannot be swept"),
        ("growth=", "whole numbers, got ''"), ("growth=64", "two different"), ("growth=64,64", "two different"),
        ("growth=64,many", "many"), ("growth=8:2", "LOW below HIGH"), ("growth=8:8", "LOW below HIGH"),
        ("growth=8.5:20", "8.5"), ("growth=8:", "numbers"), ("growth=1:2:3", "LOW:HIGH:log"),
        ("growth=1:2:log:log", "LOW:HIGH:log"), ("growth=0:10", "growth is 0; needs"), ("pool=1:9", "pool is 9.0"),
        ("rates.radius=-1:1", "rate of radius is -1.0; needs"), ("rates.radius=0:1:log", "LOW above 0"),
        ("rates.radius=nan:1", "LOW below HIGH"), ("rates.radius=0.1:inf", "inf"), ("seeder=a:b", "A,B,C"),
        ("seeder=error,luck", "'luck' is unknown"),
    ],
)  # fmt: skip
def test_a_parameter_that_is_invalid_is_refused_in_one_line_that_names_it(text, part):
    with pytest.raises(InputError) as refused:
        parse_param(text)
    message = str(refused.value)
    assert message.startswith(f"--param {text}: ") and part in message and "\n" not in message


def test_a_sweep_that_cannot_start_leaves_no_folder(pictures, tmp_path):
    for space in ([], ["growth=2,4", "growth=2:8"], ["lr.nope=1,2"]):
        with pytest.raises(InputError, match="--param"):
            Sweep(pictures, space, tmp_path / "sweep")
    for paths in ([], [*pictures, "none.png"]):
        with pytest.raises(InputError, match=r"picture|none\.png"):
            Sweep(paths, SPACE, tmp_path / "sweep")
    for wrong in ({"trials": 0}, {"repeats": 0}, {"budget_seconds": 0.0}, {"budget_seconds": float("nan")}):
        with pytest.raises(InputError, match=rf"{next(iter(wrong))} is .*; needs"):
            SweepOptions(**wrong)
    assert not any(tmp_path.iterdir())


# --- results ---


def test_the_first_trial_is_the_start_and_the_best_is_never_worse(finished):
    result, _ = finished
    assert [trial.start for trial in result.trials] == [True] + [False] * 5
    assert result.start is result.trials[0] and result.start.values == {
        "growth": 4, "rates.position": 0.75, "rates.colour": 0.015,
    }  # fmt: skip
    whole = [trial for trial in result.trials if trial.verdict == "finished"]
    assert result.best.loss == min(trial.loss for trial in whole) <= result.start.loss
    assert result.gain == pytest.approx(1 - result.best.loss / result.start.loss) and result.gain >= 0
    for trial in result.trials:
        assert trial.values["growth"] in (2, 4, 8) and 0.2 <= trial.values["rates.position"] <= 1
        assert len(str(trial.values["rates.position"])) <= len("0.1234")


def test_the_losses_are_those_of_run_and_their_mean_and_spread_are_geometric(finished, pictures):
    result, folder = finished
    assert load_config(folder / "best.json") == changed(BASE, result.best.values)
    config = load_config(folder / "best.json").to_json()
    losses = [
        artpipe.fit(picture, **{**config, "rates": Rates(**config["rates"]), "seed": seed}).metrics.seed_loss
        for seed in (0, 1)
        for picture in pictures
    ]
    assert result.best.losses == pytest.approx(losses, rel=1e-6)
    assert result.best.loss == pytest.approx(np.prod(losses) ** (1 / 6), rel=1e-6)
    logs = [np.log(trial.losses).reshape(2, 3).mean(axis=1) for trial in result.trials if trial.verdict == "finished"]
    assert result.spread == pytest.approx(np.sqrt(np.mean([(one - other) ** 2 / 2 for one, other in logs])))


def test_trials_that_are_worse_than_the_best_on_every_fit_are_pruned(finished):
    pruned = [trial for trial in finished[0].trials if trial.verdict == "pruned"]
    assert pruned and {trial.verdict for trial in finished[0].trials} == {"finished", "pruned"}
    assert all(4 <= len(trial.losses) < 6 for trial in pruned)


def test_the_table_holds_every_trial(finished, pictures):
    result, folder = finished
    found = list(csv.DictReader((folder / "trials.csv").open()))
    fits = [f"loss of {path.name}, seed {seed}" for seed in (0, 1) for path in pictures]
    for row, trial in zip(found, result.trials, strict=True):
        assert [row["trial"], row["start"], row["verdict"]] == [str(trial.number), str(int(trial.start)), trial.verdict]
        assert {name: float(row[name]) for name in trial.values} == trial.values
        assert [float(row[fit]) for fit in fits if row[fit]] == list(trial.losses)


def test_a_start_outside_the_space_is_measured_but_not_tried_again(pictures, tmp_path):
    result = swept(pictures[:1], tmp_path / "sweep", ["growth=1,2", "pool=1:1.2"], trials=4)
    assert values_of(result)[0] == {"growth": 4, "pool": 1.25}
    assert all(values["growth"] in (1, 2) and values["pool"] <= 1.2 for values in values_of(result)[1:])
    assert result.best.loss <= result.start.loss and len(result.trials) == 4
    base, space = RunConfig(count=4, preset="draft", size=WIDTH), ["relocate_every=2:500", "preset=draft,best"]
    result = swept(pictures[:1], tmp_path / "preset", space, base, trials=1)
    assert values_of(result) == [{"preset": "draft", "relocate_every": PRESETS["draft"].relocate_every}]


def test_slow_settings_are_given_up_and_never_the_best(pictures, tmp_path):
    at_work = Sweep(pictures[:2], ["growth=2:8"], tmp_path / "sweep", BASE, SweepOptions(trials=3, budget_seconds=1e-6))
    with pytest.raises(InputError, match=r"no trial was finished.*trials\.csv"):
        show_sweep(at_work, quiet=True, as_json=False)
    result = at_work.result()
    assert [(trial.verdict, trial.losses) for trial in result.trials] == [("slow", [])] * 3
    assert result.best is None and result.gain is None and not at_work.config_file.exists()


# --- resuming ---


def test_a_resumed_sweep_tries_what_an_uninterrupted_one_would_have(pictures, tmp_path):
    at_once = swept(pictures[:1], tmp_path / "other", trials=8)
    for trials in (2, 7, 8):
        result = swept(pictures[:1], tmp_path / "sweep", SPACE[:: 1 if trials == 8 else -1], trials=trials)
        assert len(result.trials) == trials
    assert values_of(result) == values_of(at_once)
    assert [trial.losses for trial in result.trials] == [trial.losses for trial in at_once.trials]
    assert swept(pictures[:1], tmp_path / "sweep", trials=5) == result


def test_ctrl_c_keeps_everything_and_the_sweep_resumes(pictures, tmp_path, capsys):
    """The start takes 10 steps; all others hours."""
    space, folder = [f"steps={MANY},{2 * MANY}"], tmp_path / "sweep"
    at_work = Sweep(pictures[:1], space, folder, BASE, SweepOptions(trials=5))
    next(at_work.run())
    former = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.5, 5)  # again, as people do: a library may drop one in a callback
    try:
        with pytest.raises(SystemExit) as end:
            show_sweep(at_work, quiet=False, as_json=False)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert end.value.code == 130
    printed = capsys.readouterr()
    assert "interrupted" in printed.err and str(folder / "best.json") in printed.out
    assert load_config(folder / "best.json").steps == 10
    assert {path.name for path in folder.iterdir()} == {"journal.log", "best.json", "trials.csv"}
    assert Sweep(pictures[:1], space, folder, BASE).result() == at_work.result()


OTHERS = {
    "parameters": {"space": ["growth=2,4,8"]}, "pictures": {"count": 1}, "steps": {"base": replace(BASE, steps=11)},
    "rates.colour": {"base": replace(BASE, rates=Rates(colour=0.5))}, "repeats": {"repeats": 3},
    "budget_seconds": {"budget_seconds": 9}, "jax": {"jax": "0.1"}, "cores": {"cores": 999},
}  # fmt: skip


@pytest.fixture(scope="module")
def started(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("started") / "sweep"
    swept(pictures[:2], folder, trials=1)
    return folder


@pytest.mark.parametrize("name", OTHERS)
def test_a_sweep_of_other_settings_packages_or_machine_is_refused_in_one_line(pictures, started, monkeypatch, name):
    change, before, here = dict(OTHERS[name]), contents(started), environment()
    now = {**here, **{key: change.pop(key) for key in here if key in change}}
    monkeypatch.setattr("artpipe.pipeline.bench.sweep.environment", lambda: now)
    with pytest.raises(InputError) as refused:
        swept(pictures[: change.pop("count", 2)], started, **change)
    message = str(refused.value)
    assert f"started with {name} " in message and "-o" in message and "\n" not in message
    assert contents(started) == before


def test_a_folder_of_something_else_and_a_damaged_journal_are_refused_in_one_line(pictures, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "note.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "journal.log").write_text("words\nwords\n")
    for name in ("other", "file", "file/below", "damaged"):
        with pytest.raises(InputError, match="-o") as refused:
            Sweep(pictures, SPACE, tmp_path / name, BASE)
        assert "\n" not in str(refused.value)
    assert contents(tmp_path / "other") == {"note.txt": b"mine"}


# --- the command line and processes ---


def test_the_result_goes_to_stdout_and_a_line_for_each_trial_to_stderr(pictures, tmp_path):
    folder = tmp_path / "sweep"
    words = ["bench", "sweep", pictures[0], "--param", SPACE[1], "--size", WIDTH, "--max", 8, "--steps", 10]
    shown = succeeded(*words, "-o", folder, "--trials", 2)
    assert [line.split("]")[0] for line in shown.stderr.splitlines()] == ["[1/2", "[2/2"]
    assert shown.stdout.splitlines()[-1] == f"artpipe run PICTURE --config {folder / 'best.json'}"
    assert "growth: " in shown.stdout and "spread over seeds: unknown" in shown.stdout
    quiet = succeeded(*words, "-o", folder, "--trials", 2, "-q")
    assert quiet.output == ""
    told = json.loads(succeeded(*words, "-o", folder, "--trials", 3, "-q", "--json").stdout)
    assert told["trials"] == 3 and told["gain"] >= 0 and told["best"]["loss"] <= told["start"]["loss"]
    assert "growth" in refusal(*words[:3], "--param", "grow=1,2", "-o", folder)


SWEEPING = """
import sys
from pathlib import Path
from artpipe.pipeline.bench.options import SweepOptions
from artpipe.pipeline.bench.sweep import Sweep
from artpipe.pipeline.options import RunConfig
base = RunConfig(size=24, growth=4, count=8, steps=10)
for _ in Sweep(sys.argv[1:2], ["lr.position=0.2:1"], Path(sys.argv[2]), base, SweepOptions(trials=30)).run():
    pass
"""


@pytest.mark.slow
def test_processes_share_a_sweep_and_one_that_is_killed_leaves_the_rest_to_the_other(pictures, tmp_path):
    folder = tmp_path / "sweep"
    words = [sys.executable, "-c", SWEEPING, str(pictures[0]), str(folder)]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    while not (folder / "best.json").exists() and both[0].poll() is None:
        time.sleep(0.02)
    both[0].kill()
    output, _ = both[1].communicate(timeout=180)
    both[0].communicate()
    assert both[1].returncode == 0 and output == ""
    result = swept(pictures[:1], folder, SPACE[:1], trials=30)
    assert 30 <= len(result.trials) <= 31 and len({trial.number for trial in result.trials}) == len(result.trials)
    assert load_config(folder / "best.json") == changed(BASE, result.best.values)
