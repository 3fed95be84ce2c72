"""`artpipe bench sweep`: what may be swept, how trials are judged, and the folder that processes share."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import artpipe
from artpipe import BackendUnavailable, InputError, Rates
from artpipe.pipeline.bench.machine import environment
from artpipe.pipeline.bench.options import SweepOptions
from artpipe.pipeline.bench.sweep import Sweep, SweepResult, SweepTrial, sweep
from artpipe.pipeline.bench.sweep_command import carry_out_sweep
from artpipe.pipeline.bench.sweep_space import TUNABLE, Choices, Range, parse_param
from artpipe.pipeline.folders.rundir import load_config
from artpipe.pipeline.options import RunConfig
from artpipe.pipeline.presets import PRESETS
from artpipe.renderers.options import changed
from artpipe.stages.pictures.picture import save_png

WIDTH, HEIGHT = 24, 20
BASE = RunConfig(size=WIDTH, growth=4, count=8, steps=10)
SPACE = ["lr.position=0.2:1", "growth=2,4,8"]
MANY = 1_000_000


def draw_pictures(folder, count):
    """Small paintings as files."""
    across, down = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    paths = [folder / f"picture_{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        image = np.stack([across, down, 0.5 + 0.4 * np.sin((5 + number) * across * down)], axis=2)
        image[(across - 0.2 * number) ** 2 + (down - 0.6) ** 2 < 0.05] = (0.9, 0.2, 0.1)
        save_png(image, path)
    return paths


def values_of(result):
    return [trial.values for trial in result.trials]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return draw_pictures(tmp_path_factory.mktemp("pictures"), 3)


@pytest.fixture(scope="module")
def finished(pictures, tmp_path_factory):
    """The result of a sweep that is done, and its folder, not to be written to."""
    pytest.importorskip("optuna")
    folder = tmp_path_factory.mktemp("finished") / "sweep"
    return sweep(pictures, SPACE, folder, BASE, SweepOptions(trials=12, repeats=2)), folder


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("optuna")
    return tmp_path / "sweep"


# --- parameters ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rates.position=0.2:1.0", Range("rates.position", 0.2, 1.0)),
        ("rates.colour=0.001:0.1", Range("rates.colour", 0.001, 0.1, log=True)),
        ("rates.radius=0.05:0.1:log", Range("rates.radius", 0.05, 0.1, log=True)),
        ("rates.radius=0:0.1", Range("rates.radius", 0.0, 0.1)),
        ("growth=64:512", Range("growth", 64, 512)),
        ("steps=100:1000", Range("steps", 100, 1000, log=True)),
        ("growth=64,128,256", Choices("growth", (64, 128, 256))),
        ("pool=1, 1.5", Choices("pool", (1.0, 1.5))),
        ("seeder=error,grid", Choices("seeder", ("error", "grid"))),
        ("preset=draft,best", Choices("preset", ("draft", "best"))),
        ("rates.colour", Range("rates.colour", 0.003, 0.06, log=True)),
        ("preset", Choices("preset", tuple(PRESETS))),
    ],
)
def test_a_parameter_is_a_range_or_choices(text, expected):
    parameter = parse_param(text)
    assert parameter == expected
    numbers = parameter.values if isinstance(parameter, Choices) else (parameter.low, parameter.high)
    assert {type(number) for number in numbers} == {TUNABLE[parameter.name].kind}
    assert parse_param(str(parameter)) == parameter


def test_names_may_be_spelt_as_in_python_or_as_on_the_command_line():
    spellings = ("rates.position", "lr.position", "rate-position", "rate_position", "rates.position ")
    assert {parse_param(f"{name}=0.2:1") for name in spellings} == {Range("rates.position", 0.2, 1.0)}
    assert parse_param("relocate-every=5,9") == parse_param("relocate_every=5,9")


def test_every_learning_rate_and_tuning_option_can_be_swept_and_nothing_else():
    rates = {f"rates.{name}" for name in Rates.__dataclass_fields__}
    fixed = {"count", "renderer", "device", "seed", "size", "background", "rates", "focus", "mask"}
    fixed |= {"seconds", "target_psnr", "patience", "shape", "hard"}
    assert set(TUNABLE) == rates | set(RunConfig.__dataclass_fields__) - fixed


def test_settings_take_the_place_of_those_of_a_configuration():
    config = changed(BASE, {"rates.colour": 0.5, "seeder": "grid", "relocate_every": 3})
    assert config == replace(BASE, seeder="grid", relocate_every=3, rates=Rates(colour=0.5))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("colour=0:1", "rates.colour"), ("count=8,16", "there is no setting 'count'"), ("lr.size=0:1", "growth"),
        ("", "there is no setting"), ("growth=", "'' is not a whole number"),
        ("growth=64", "two or more"), ("growth=64,64", "all different"), ("growth=64,many", "'many'"),
        ("growth=8:2", "LOW below HIGH"), ("growth=8:8", "LOW below HIGH"), ("growth=8.5:20", "'8.5'"),
        ("growth=8:", "''"), ("growth=1:2:3", "LOW:HIGH:log"), ("growth=1:2:log:log", "LOW:HIGH:log"),
        ("growth=0:10", "growth is 0; needs"), ("growth=8,0", "growth is 0; needs"),
        ("pool=1:9", "pool is 9.0; needs"), ("rates.radius=-1:1", "rate of radius is -1.0; needs"),
        ("rates.radius=0:1:log", "LOW above 0"), ("rates.radius=nan:1", "LOW below HIGH"),
        ("rates.radius=0.1:inf", "inf"), ("rates.radius=nan,1", "nan"), ("seeder=a:b", "no range"),
        ("seeder=error,luck", "'luck' is unknown"),
    ],
)  # fmt: skip
def test_a_parameter_that_cannot_be_is_refused_in_one_line_that_names_it(text, part):
    with pytest.raises(InputError) as refusal:
        parse_param(text)
    message = str(refusal.value)
    assert message.startswith(f"--param {text}: ") and part in message and "\n" not in message


@pytest.mark.parametrize(
    ("space", "part"),
    [([], "--param"), (["growth=2,4", "growth=2:8"], "names growth twice"), (["lr.nope=1,2"], "nope")],
)
def test_a_sweep_needs_parameters_that_differ(pictures, folder, space, part):
    with pytest.raises(InputError, match=part):
        sweep(pictures, space, folder, BASE)
    assert not folder.exists()


def test_what_cannot_be_painted_leaves_no_folder(pictures, folder):
    for paths in ([], [*pictures, "none.png"]):
        with pytest.raises(InputError, match=r"picture|none\.png"):
            sweep(paths, SPACE, folder, BASE)
    for wrong in ({"trials": 0}, {"repeats": 0}, {"budget_seconds": 0.0}, {"budget_seconds": float("nan")}):
        with pytest.raises(InputError, match=rf"{next(iter(wrong))} is .*; needs"):
            SweepOptions(**wrong)
    assert not folder.exists()


def test_without_optuna_the_error_names_the_extra(pictures, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)  # as if it were not installed
    with pytest.raises(BackendUnavailable, match=r"pip install 'artpipe\[sweep\]'"):
        sweep(pictures, SPACE, folder, BASE)


# --- what is found ---


def test_the_settings_as_they_were_come_first_and_the_best_is_never_worse(finished):
    result, _ = finished
    assert [trial.start for trial in result.trials] == [True] + [False] * 11
    assert result.start is result.trials[0]
    assert result.start.values == {"growth": 4, "rates.position": 0.75}
    whole = [trial for trial in result.trials if trial.verdict == "finished"]
    assert result.best.loss == min(trial.loss for trial in whole) <= result.start.loss
    assert result.gain == pytest.approx(1 - result.best.loss / result.start.loss) and result.gain >= 0


def test_values_lie_in_the_space_and_are_short_to_read(finished):
    for trial in finished[0].trials:
        assert trial.values["growth"] in (2, 4, 8)
        assert 0.2 <= trial.values["rates.position"] <= 1
        assert len(str(trial.values["rates.position"])) <= len("0.1234")


def test_a_loss_is_the_geometric_mean_over_pictures_and_seeds_of_what_run_reaches(finished, pictures):
    best = finished[0].best
    losses = []
    for seed in (0, 1):
        for picture in pictures:
            options = {"growth": best.values["growth"], "rates": Rates(position=best.values["rates.position"])}
            result = artpipe.fit(picture, count=8, steps=10, seed=seed, size=WIDTH, **options)
            losses.append(result.metrics.seed_loss)
    assert best.losses == pytest.approx(losses, rel=1e-6)
    assert best.loss == pytest.approx(np.prod(losses) ** (1 / 6), rel=1e-6)


def test_the_spread_is_that_of_the_mean_over_pictures_from_seed_to_seed(finished):
    result, _ = finished
    logs = [np.log(trial.losses).reshape(2, 3).mean(axis=1) for trial in result.trials if trial.verdict == "finished"]
    assert result.spread == pytest.approx(np.sqrt(np.mean([(one - other) ** 2 / 2 for one, other in logs])))


def test_hopeless_trials_are_given_up_once_five_are_finished(finished):
    trials = finished[0].trials
    hopeless = [trial for trial in trials if trial.verdict == "hopeless"]
    assert hopeless and {trial.verdict for trial in trials[:5]} == {"finished"}
    for trial in hopeless:
        made = len(trial.losses)
        before = [t.losses[:made] for t in trials[: trial.number] if t.verdict == "finished"]
        assert 2 <= made < 6
        assert np.log(trial.losses).mean() > np.median(np.log(before).mean(axis=1))


def test_the_best_settings_are_a_configuration_that_run_takes(finished, pictures, tmp_path):
    from click.testing import CliRunner

    from artpipe.pipeline.cli.commands import main

    result, folder = finished
    assert result.config_file == folder / "best.json"
    config = load_config(result.config_file)
    assert config == changed(BASE, result.best.values)
    words = ["run", str(pictures[0]), "--config", str(result.config_file), "-o", str(tmp_path / "run"), "--no-export"]
    assert CliRunner().invoke(main, words).exit_code == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["seed_loss"] == pytest.approx(result.best.losses[0], rel=1e-6)


def test_the_table_holds_every_trial(finished, pictures):
    result, folder = finished
    rows = list(csv.DictReader((folder / "trials.csv").open()))
    assert [int(row["trial"]) for row in rows] == [trial.number for trial in result.trials] == list(range(12))
    for row, trial in zip(rows, result.trials, strict=True):
        assert row["verdict"] == trial.verdict and bool(int(row["start"])) == trial.start
        assert {name: float(row[name]) for name in trial.values} == trial.values
        cells = [row[f"loss of {path.name}, seed {seed}"] for seed in (0, 1) for path in pictures]
        assert [float(cell) for cell in cells if cell] == list(trial.losses)
        assert row["loss"] == (str(trial.loss) if trial.verdict == "finished" else "")


def test_settings_outside_the_space_are_measured_too_but_not_tried_again(pictures, folder):
    result = sweep(pictures[:1], ["growth=1,2", "pool=1:1.2"], folder, BASE, SweepOptions(trials=4))
    assert values_of(result)[0] == {"growth": 4, "pool": 1.25}
    assert all(values["growth"] in (1, 2) and values["pool"] <= 1.2 for values in values_of(result)[1:])
    assert result.best.loss <= result.start.loss and len(result.trials) == 4


def test_the_settings_as_they_were_include_what_the_preset_says(pictures, folder):
    base = RunConfig(count=4, preset="draft")
    result = sweep(pictures[:1], ["relocate_every=2:500", "preset=draft,best"], folder, base, SweepOptions(trials=1))
    assert values_of(result) == [{"preset": "draft", "relocate_every": PRESETS["draft"].relocate_every}]


def trial_of(number, losses, start=False):
    return SweepTrial(number, start, "finished", {"growth": number}, losses, 1.0)


@pytest.mark.parametrize(("spread", "noise"), [(None, None), (0.02, False), (0.2, True)])
def test_a_gain_below_the_spread_over_seeds_is_noise(spread, noise):
    trials = trial_of(0, (0.1, 0.4), start=True), trial_of(1, (0.09, 0.36))
    result = SweepResult(trials, *trials, spread, Path("best.json"))
    assert result.gain == pytest.approx(0.1) and result.is_noise is noise


def test_slow_settings_are_given_up_and_never_the_best(pictures, folder):
    base = replace(BASE, steps=60)
    options = SweepOptions(trials=3, budget_seconds=1e-6)
    result = sweep(pictures[:2], ["growth=2:8"], folder, base, options)
    assert [trial.verdict for trial in result.trials] == ["slow"] * 3
    assert len(result.start.losses) == 2 and result.best is None and result.gain is None
    assert [trial.losses for trial in result.trials[1:]] == [(), ()]
    assert not result.config_file.exists() and (folder / "trials.csv").exists()
    with pytest.raises(InputError, match=r"no trial was finished.*trials\.csv"):
        carry_out_sweep(Sweep(pictures[:2], ["growth=2:8"], folder, base, options), quiet=True, as_json=False)


# --- interruptions, resumption, other folders ---


def test_a_resumed_sweep_tries_what_an_uninterrupted_one_would_have(pictures, folder, tmp_path):
    at_once = sweep(pictures[:1], SPACE, tmp_path / "other", BASE, SweepOptions(trials=12))
    for trials in (2, 11, 12):
        result = sweep(pictures[:1], SPACE, folder, BASE, SweepOptions(trials=trials))
        assert len(result.trials) == trials
    assert values_of(result) == values_of(at_once)
    assert [trial.losses for trial in result.trials] == [trial.losses for trial in at_once.trials]
    before = contents(folder)
    assert sweep(pictures[:1], SPACE, folder, BASE, SweepOptions(trials=5)).trials == result.trials
    assert contents(folder) == before


def test_a_trial_that_is_interrupted_is_tried_again(pictures, folder, finished):
    def interrupt(number, picture):
        if picture == str(pictures[2]):
            raise KeyboardInterrupt

    options = SweepOptions(trials=3, repeats=2)
    for done in range(3):
        at_work = Sweep(pictures, SPACE, folder, BASE, options)
        with pytest.raises(KeyboardInterrupt):
            at_work.next_trial(interrupt)
        assert len(at_work.result().trials) == done
        assert at_work.next_trial().start == (done == 0)
    assert at_work.next_trial() is None
    assert values_of(at_work.result()) == values_of(finished[0])[:3]


def test_ctrl_c_keeps_everything(pictures, folder, capsys):
    """The settings as they were take 10 steps; all others hours."""
    at_work = Sweep(pictures[:1], [f"steps={MANY},{2 * MANY}"], folder, BASE, SweepOptions(trials=5))

    ended = threading.Event()

    def press():
        while not (folder / "best.json").exists():
            time.sleep(0.01)
        pause = 0.3
        while not ended.wait(pause):  # again, as people do: a library may drop an interrupt in a callback of its own
            os.kill(os.getpid(), signal.SIGINT)
            pause = 5.0

    presser = threading.Thread(target=press, daemon=True)
    presser.start()
    try:
        with pytest.raises(SystemExit) as end:
            carry_out_sweep(at_work, quiet=False, as_json=False)
    finally:
        ended.set()
        presser.join()
    assert end.value.code == 130
    printed = capsys.readouterr()
    assert "interrupted; 1 trial is kept" in printed.err and str(folder / "best.json") in printed.out
    assert load_config(folder / "best.json").steps == 10
    assert {path.name for path in folder.iterdir()} == {"journal.log", "best.json", "trials.csv"}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"space": ["growth=2,4,8"]}, "parameters growth=2,4,8 rates.position=0.2:1.0"),
        ({"space": ["lr.position=0.2:2", "growth=2,4,8"]}, "parameters growth=2,4,8 rates.position=0.2:1.0"),
        ({"count": 1}, "pictures picture_0.png, picture_1.png"),
        ({"base": replace(BASE, steps=11)}, "steps 10"),
        ({"base": replace(BASE, rates=Rates(colour=0.5))}, "rates.colour 0.015"),
        ({"options": SweepOptions(trials=1, repeats=3)}, "repeats 1"),
        ({"options": SweepOptions(trials=1, budget_seconds=9)}, "budget_seconds None"),
    ],
)
def test_a_folder_of_another_sweep_is_refused_in_one_line_and_left_alone(pictures, tmp_path_factory, change, part):
    pytest.importorskip("optuna")
    folder = tmp_path_factory.getbasetemp() / "refusing"
    if not folder.exists():
        sweep(pictures[:2], SPACE, folder, BASE, SweepOptions(trials=1))
    before = contents(folder)
    with pytest.raises(InputError) as refusal:
        sweep(
            pictures[: change.get("count", 2)], change.get("space", SPACE), folder, change.get("base", BASE),
            change.get("options", SweepOptions(trials=1)),
        )  # fmt: skip
    assert part in str(refusal.value) and "-o" in str(refusal.value) and "\n" not in str(refusal.value)
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["sources", "jax", "cpu", "cores"])
def test_a_sweep_does_not_go_on_on_other_code_packages_or_machines(pictures, folder, monkeypatch, name):
    sweep(pictures[:1], SPACE, folder, BASE, SweepOptions(trials=1))
    before = contents(folder)
    now = environment()
    monkeypatch.setattr("artpipe.pipeline.bench.sweep.environment", lambda: {**now, name: "other"})
    with pytest.raises(InputError, match=f"begun with {name} {re.escape(str(now[name]))} .now other") as refusal:
        sweep(pictures[:1], SPACE, folder, BASE, SweepOptions(trials=2))
    assert "\n" not in str(refusal.value) and contents(folder) == before


def test_the_order_of_parameters_and_where_the_pictures_lie_do_not_matter(pictures, folder, tmp_path):
    sweep(pictures[:2], SPACE, folder, BASE, SweepOptions(trials=1))
    moved = draw_pictures(tmp_path, 2)
    assert len(sweep(moved, SPACE[::-1], folder, BASE, SweepOptions(trials=2)).trials) == 2


def test_a_folder_of_something_else_and_a_broken_journal_are_refused_in_one_line(pictures, folder, tmp_path):
    folder.mkdir()
    (folder / "note.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "journal.log").write_text("words\nwords\n")
    for path in (folder, tmp_path / "file", tmp_path / "file" / "below", tmp_path / "broken"):
        with pytest.raises(InputError, match=r"-o$") as refusal:
            sweep(pictures, SPACE, path, BASE)
        assert "\n" not in str(refusal.value)
    assert contents(folder) == {"note.txt": b"mine"}


# --- what is printed ---


def test_the_result_goes_to_stdout_and_a_line_for_each_trial_to_stderr(pictures, folder, capsys):
    carry_out_sweep(Sweep(pictures[:1], SPACE, folder, BASE, SweepOptions(trials=2)), quiet=False, as_json=False)
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].startswith("best of 2 trials: loss 0.0") and "1 picture" in lines[0]
    assert lines[-2:] == [str(folder / "best.json"), f"artpipe run PICTURE --config {folder / 'best.json'}"]
    assert [line.split(":")[0] for line in printed.err.splitlines()] == ["1 of 2", "2 of 2"]
    carry_out_sweep(Sweep(pictures[:1], SPACE, folder, BASE, SweepOptions(trials=3)), quiet=False, as_json=False)
    errors = capsys.readouterr().err.splitlines()
    assert "2 trials are done" in errors[0] and errors[1].startswith("3 of 3: ")


@pytest.mark.parametrize("quiet", [True, False])
def test_json_prints_the_result_alone_on_stdout(pictures, folder, capsys, quiet):
    at_work = Sweep(pictures[:1], SPACE, folder, BASE, SweepOptions(trials=1))
    carry_out_sweep(at_work, quiet=quiet, as_json=True)
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert told == json.loads(json.dumps(at_work.result().to_json()))
    assert told["trials"] == 1 and told["gain"] == 0 and told["config"] == str(folder / "best.json")
    assert (printed.err == "") == quiet


def test_quiet_and_python_print_nothing(pictures, folder, capfd):
    carry_out_sweep(Sweep(pictures[:1], SPACE, folder, BASE, SweepOptions(trials=1)), quiet=True, as_json=False)
    sweep(pictures[:1], SPACE, folder, BASE, SweepOptions(trials=2))
    printed = capfd.readouterr()
    assert printed.out == "" and printed.err == ""


# --- processes ---

# A process of its own, which waits for others to be as far.
SWEEPING = """
import sys, time
from pathlib import Path
from artpipe.pipeline.bench.machine import environment
from artpipe.pipeline.bench.options import SweepOptions
from artpipe.pipeline.bench.sweep import Sweep
from artpipe.pipeline.options import RunConfig
folder, processes, trials, parameter, picture, size = sys.argv[1:]
base = RunConfig(size=int(size), growth=4, count=8, steps=10)
at_work = Sweep([picture], [parameter, "lr.colour=0.01:0.02"], folder, base, SweepOptions(trials=int(trials)))
Path(f"{folder}-{time.time_ns()}.ready").touch()
while len(list(Path(folder).parent.glob("*.ready"))) < int(processes):
    time.sleep(0.005)
while at_work.next_trial():
    pass
"""


def start_sweep(folder, processes, trials, parameter, picture):
    words = [sys.executable, "-c", SWEEPING, folder, processes, trials, parameter, picture, WIDTH]
    return subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
def test_two_processes_share_a_sweep(pictures, folder):
    trials = 16
    both = [start_sweep(folder, 2, trials, "lr.position=0.2:1", pictures[0]) for _ in range(2)]
    for process in both:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0 and output == ""
    space = ["lr.position=0.2:1", "lr.colour=0.01:0.02"]
    before = contents(folder)
    result = sweep(pictures[:1], space, folder, BASE, SweepOptions(trials=trials))
    assert contents(folder) == before
    assert len(result.trials) == trials and sum(trial.start for trial in result.trials) == 1
    assert len({tuple(values.items()) for values in values_of(result)}) == trials
    assert load_config(folder / "best.json") == changed(BASE, result.best.values)
    assert len((folder / "trials.csv").read_text().splitlines()) == trials + 1
    owners = set(re.findall(r'"owner":"[^"]+"', (folder / "journal.log").read_text()))
    assert len(owners) == 2, "one process did all the work"


@pytest.mark.slow
def test_a_process_that_was_killed_leaves_its_trial_to_others(pictures, folder):
    parameter = f"steps={MANY},{2 * MANY}"
    process = start_sweep(folder, 1, 2, parameter, pictures[0])
    try:
        deadline = time.monotonic() + 60
        while not (folder / "best.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)
    finally:
        process.kill()
        process.communicate()
    at_work = Sweep(pictures[:1], [parameter, "lr.colour=0.01:0.02"], folder, BASE, SweepOptions(trials=2))
    assert len(at_work.result().trials) == 1

    def interrupt(number, picture):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # there is a trial to carry out
        at_work.next_trial(interrupt)
