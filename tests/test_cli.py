"""The command line: `artpipe run`, `render`, help and errors. Chained stages stand in test_chain.py."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from command_line import refusal, run_cli, succeeded
from picture_files import RGB, chunk, png_of
from PIL import Image

from artpipe import Canvas, InputError, Scene, load_scene, mean_squared_error, save_scene
from artpipe.pipeline.cli.commands import main
from artpipe.pipeline.folders.rundir import load_config
from artpipe.pipeline.options import RunConfig
from artpipe.pipeline.presets import PRESETS
from artpipe.renderers.kernels import reference
from artpipe.renderers.options import changed, settings_of
from artpipe.renderers.registry import FITTING_RENDERERS
from artpipe.stages.formats.snapshots import ARRAYS as SNAPSHOT_ARRAYS
from artpipe.stages.pictures.picture import load_picture, save_png
from artpipe.stages.placing.seeders import SEEDERS

README = Path(__file__).parents[1] / "README.md"
KEPT = {"painting.png", "target.png", "comparison.png", "scene.json", "metrics.json", "run.json", "snapshots.npz"}
FILES = KEPT | {"painting.svg", "timelapse.gif", "viewer.html"}
WIDTH, HEIGHT = 36, 24
MOST, STEPS = 14, 40
OPTIONS = ["--max", MOST, "--growth", 5, "--steps", STEPS, "--pool", 1.5, "--relocate-every", 6, "--seed", 3]


def strict_json(text):
    """JSON as the standard has it, which knows no NaN and no Infinity."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def contents(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A small painting as a file."""
    across, down = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    image = np.stack([across, down, 0.5 + 0.4 * np.sin(9 * across * down)], axis=2)
    image[(across - 0.3) ** 2 + (down - 0.6) ** 2 < 0.03] = (0.9, 0.2, 0.1)
    path = tmp_path_factory.mktemp("pictures") / "tiny.png"
    save_png(image, path)
    return path


@pytest.fixture(scope="module", params=FITTING_RENDERERS)
def finished(request, picture, tmp_path_factory):
    """The folder of a finished run of either renderer, not to be written to."""
    folder = tmp_path_factory.mktemp("finished") / request.param
    succeeded("run", picture, "-o", folder, "--renderer", request.param, *OPTIONS, "-q")
    return folder


# --- help ---


def commands(group=main, names=()):
    """Every command that does something: (its words, the command)."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*names, name))
        else:
            yield (*names, name), command


COMMANDS = dict(commands())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help(words, flag):
    result = succeeded(*words, flag)
    assert result.stdout.startswith("Usage: ") and result.stderr == ""
    first_line = COMMANDS[words].help.split("\n")[0]
    assert first_line in " ".join(result.stdout.split()) and first_line[0].isupper() and first_line.endswith(".")
    for parameter in COMMANDS[words].params:
        assert isinstance(parameter, click.Argument) or parameter.help, f"{parameter.name} has no help"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_mentioned_in_the_readme(words):
    if not README.exists():
        pytest.skip("README.md is not beside tests/")
    code = re.findall(r"^    .*$|`[^`\n]+`", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert any(re.search(rf"(?<![-\w/]){words[-1]}\b", line) for line in code)


# What is left out here has no default: without it, there is none.
WITHOUT_DEFAULT = {"config", "exports", "params", "vary", "published", "readme"}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_shows_the_default_of_every_option(words):
    command = COMMANDS[words]
    root = click.Context(main, **main.context_settings)
    with root, click.Context(command, parent=root, **command.context_settings) as context:
        for option in command.params:
            if not isinstance(option, click.Option) or option.is_flag or option.name in WITHOUT_DEFAULT:
                continue
            text = option.get_help_record(context)[1]
            assert re.search(r"\[(.*; )?default: |\[(.*; )?required", text), f"{option.opts[0]}: {text}"


SETTINGS = settings_of(RunConfig)


def help_of_run(setting):
    """What the help of `run` says of an option."""
    with click.Context(main.commands["run"]) as context:
        (text,) = [
            option.get_help_record(context)[1]
            for option in main.commands["run"].params
            if set(option.opts) == set(setting.flags)
        ]
    return text


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one.name != "size"], ids=lambda one: one.name)
def test_help_of_run_shows_the_true_default_and_range(setting):
    text = help_of_run(setting)
    if setting.kind is bool:  # a flag; off, unless it is given
        assert setting.default is False and "default" not in text
        return
    shown = re.search(r"\[default: (.*?)(?:; range (.*?) to (.*?))?\]$", text)
    if setting.default not in (None, ()):
        assert setting.kind(shown[1]) == setting.default
    elif setting.name != "steps" and hasattr(PRESETS["draft"], setting.name):  # in the order of the table
        assert [float(number) for number in re.findall(r"[\d.]+", shown[1])] == [
            getattr(preset, setting.name) for preset in PRESETS.values()
        ]
    elif setting.name != "steps":
        assert shown[1] == "none"
    if setting.kind in (int, float) and not setting.many:
        for limit, beyond in (shown[2], -1), (shown[3], 1):
            changed(RunConfig(), {setting.name: setting.kind(limit)})
            with pytest.raises(InputError):
                changed(RunConfig(), {setting.name: setting.kind(limit) + beyond})


@pytest.mark.parametrize(("name", "table"), [("preset", PRESETS), ("renderer", FITTING_RENDERERS), ("seeder", SEEDERS)])
def test_choices_are_those_of_the_tables(name, table):
    for command in COMMANDS.values():
        for option in command.params:
            if option.name == name:
                assert list(option.type.choices) == list(table)


def test_every_option_of_a_run_can_be_set_by_command_line():
    flags = {flag for option in main.commands["run"].params for flag in option.opts}
    assert {flag for setting in SETTINGS for flag in setting.flags} <= flags
    assert set(RunConfig().to_json()) == {setting.name.split(".")[0] for setting in SETTINGS}


def test_the_group_shows_lines_to_copy_and_its_version():
    text = succeeded("--help").stdout
    assert run_cli().stderr == text
    assert len(re.findall(r"^  artpipe \w+ .*$", text, re.MULTILINE)) >= 2
    assert re.fullmatch(r"artpipe, version \d+\.\d+\.\d+\S*\n", succeeded("--version").stdout)


# --- what a run leaves ---


def test_a_run_writes_every_documented_file_and_no_other(finished):
    assert {path.name for path in finished.iterdir()} == FILES


def test_the_readme_documents_every_file_of_a_run():
    if not README.exists():
        pytest.skip("README.md is not beside tests/")
    told = set(re.findall(r"^\| `(\w+\.\w+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE))
    assert told == {*FILES, "mask.png"}  # which only weighted runs leave


def test_metrics_tell_how_the_run_went(finished, picture):
    metrics = strict_json((finished / "metrics.json").read_text())
    scene = load_scene(finished / "scene.json")
    assert metrics["shapes"] == scene.count == MOST
    assert metrics["steps"] == STEPS
    assert (metrics["renderer"], metrics["device"], metrics["kernel"]) == (finished.name, "cpu", "numba")
    assert metrics["mse"] == pytest.approx(mean_squared_error(reference.render(scene), load_picture(picture)), rel=1e-4)
    assert metrics["psnr"] == pytest.approx(-10 * np.log10(metrics["mse"]))
    assert metrics["seed_loss"] == pytest.approx(4 * metrics["mse"])
    assert 0 < metrics["fit_seconds"] <= metrics["total_seconds"]


def test_the_history_tells_the_loss_over_steps_and_seconds(finished):
    metrics = strict_json((finished / "metrics.json").read_text())
    history = metrics["history"]
    assert len(history) > 3
    for row in history:
        assert set(row) == {"step", "shapes", "seconds", "mse"}
        assert 0 < row["shapes"] <= 1.5 * MOST and 0 < row["mse"] < 1
    for name in ("step", "seconds"):
        assert (np.diff([row[name] for row in history]) >= 0).all()
    assert history[-1]["step"] == STEPS and history[-1]["shapes"] == MOST
    assert history[-1]["mse"] == pytest.approx(metrics["mse"], rel=0.02)
    assert history[-1]["mse"] < 0.5 * history[0]["mse"]


def test_the_loss_is_that_of_the_picture_but_for_eight_bit_rounding(finished, picture):
    metrics = strict_json((finished / "metrics.json").read_text())
    difference = load_picture(finished / "painting.png").astype(np.float64) - load_picture(picture)
    # Rounding moves every value by at most half a level, and so the root of the mean square.
    assert abs(np.sqrt(np.mean(difference**2)) - np.sqrt(metrics["mse"])) <= 0.5 / 255
    assert abs(-10 * np.log10(np.mean(difference**2)) - metrics["psnr"]) < 1


def test_the_scene_drawn_again_is_the_painting(finished, tmp_path):
    result = succeeded("render", finished / "scene.json", "-o", tmp_path / "again.png")
    assert result.stdout == f"{tmp_path / 'again.png'}\n"
    again, painting = (np.asarray(Image.open(path)) for path in (tmp_path / "again.png", finished / "painting.png"))
    np.testing.assert_array_equal(again, painting)
    assert painting.shape == (HEIGHT, WIDTH, 3)


def test_the_comparison_shows_first_batch_target_and_painting(finished, picture):
    image = np.asarray(Image.open(finished / "comparison.png"))
    np.testing.assert_array_equal(image[:, -WIDTH:], np.asarray(Image.open(finished / "painting.png")))
    start = (image.shape[1] - WIDTH) // 2
    np.testing.assert_array_equal(image[:, start : start + WIDTH], np.asarray(Image.open(picture)))
    with np.load(finished / "snapshots.npz") as snapshots:
        first = Scene(
            snapshots["rows"][: snapshots["counts"][0]],
            Canvas(*snapshots["canvas"], tuple(snapshots["background"].tolist())),
        )
    np.testing.assert_allclose(image[:, :WIDTH] / 255, reference.render(first), atol=0.51 / 255)


def test_snapshots_hold_whole_scenes_no_larger_than_the_last(finished):
    with np.load(finished / "snapshots.npz", allow_pickle=False) as snapshots:
        assert set(snapshots.files) == set(SNAPSHOT_ARRAYS)
        counts, steps = snapshots["counts"], snapshots["steps"]
        rows, ids = snapshots["rows"], snapshots["ids"]
        canvas = Canvas(*snapshots["canvas"], tuple(snapshots["background"].tolist()))
    assert canvas == load_scene(finished / "scene.json").canvas
    assert len(counts) == len(steps) >= 3 and counts.sum() == len(rows) == len(ids)
    assert counts.max() <= MOST and counts[0] == 5
    assert (np.diff(steps) >= 0).all() and steps[-1] <= STEPS
    for end, count in zip(np.cumsum(counts), counts, strict=True):
        assert Scene(rows[end - count : end], canvas, ids=ids[end - count : end]).count == count


def test_run_json_tells_what_is_needed_to_repeat_it(finished, picture):
    record = strict_json((finished / "run.json").read_text())
    assert record["picture"] == str(picture) and record["device"] == "cpu"
    assert record["options"]["count"] == MOST and record["options"]["seed"] == 3
    assert record["options"]["renderer"] == finished.name
    assert {"artpipe", "numpy", "jax", "numba"} <= set(record["packages"])
    assert record["python"] == ".".join(map(str, sys.version_info[:3]))


def test_the_same_command_gives_the_same_scene(finished, picture, tmp_path):
    succeeded("run", picture, "-o", tmp_path / "again", "--renderer", finished.name, *OPTIONS, "-q")
    assert load_scene(tmp_path / "again" / "scene.json").same_as(load_scene(finished / "scene.json"))


def test_a_configuration_repeats_a_run_bit_for_bit(finished, picture, tmp_path):
    succeeded("run", picture, "-o", tmp_path / "again", "--config", finished / "run.json", "-q")
    for name in ("scene.json", "painting.png", "comparison.png", "run.json"):
        assert (tmp_path / "again" / name).read_bytes() == (finished / name).read_bytes()


def test_options_override_a_configuration(finished, picture, tmp_path):
    succeeded(
        "run", picture, "-o", tmp_path, "--config", finished / "run.json", "-q",
        "--max", 6, "--steps", 9, "--rate-colour", 0.02, "--background", "#336699",
    )  # fmt: skip
    before, after = (strict_json((folder / "run.json").read_text())["options"] for folder in (finished, tmp_path))
    assert after == {
        **before, "count": 6, "steps": 9, "background": "#336699", "rates": {**before["rates"], "colour": 0.02},
    }  # fmt: skip
    scene = load_scene(tmp_path / "scene.json")
    assert scene.count == 6 and scene.canvas.background == pytest.approx((0.2, 0.4, 0.6))


def test_an_option_given_at_its_default_overrides_a_configuration_too(finished, picture, tmp_path):
    words = ("--config", finished / "run.json", "--pool", RunConfig.pool, "--steps", 9, "-n", 6, "-q")
    succeeded("run", picture, "-o", tmp_path, *words)
    options = strict_json((tmp_path / "run.json").read_text())["options"]
    assert options["pool"] == RunConfig.pool and options["count"] == 6 and options["growth"] == 5


def test_the_configuration_of_the_first_version_is_still_read(finished, tmp_path):
    content = strict_json((finished / "run.json").read_text())
    options = content["options"]
    options["most"] = options.pop("count")
    (tmp_path / "old.json").write_text(json.dumps({**content, "version": 1}))
    assert load_config(tmp_path / "old.json") == load_config(finished / "run.json")
    (tmp_path / "old.json").write_text(json.dumps(content))  # which says that it is of the second version
    with pytest.raises(InputError, match="'most'"):
        load_config(tmp_path / "old.json")


def test_the_command_line_and_python_paint_the_same(picture, finished):
    import artpipe

    result = artpipe.fit(
        picture, count=MOST, growth=5, steps=STEPS, pool=1.5, relocate_every=6, seed=3, renderer=finished.name,
        size=WIDTH,
    )  # fmt: skip
    assert result.scene.same_as(load_scene(finished / "scene.json"))


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("--growth", 7, "growth", 7), ("--preset", "draft", "preset", "draft"), ("--device", "cpu", "device", "cpu"),
        ("--seed", 9, "seed", 9), ("--size", "20x12", "size", "20x12"), ("--seeder", "grid", "seeder", "grid"),
        ("--pool", 2, "pool", 2.0), ("--radius-scale", 0.9, "radius_scale", 0.9),
        ("--softness-min", 0.5, "softness_min", 0.5), ("--relocate-every", 4, "relocate_every", 4),
        ("--relocate-fraction", 0, "relocate_fraction", 0.0), ("--background", "black", "background", "black"),
        ("--rate-position", 0.25, "rates", {**RunConfig().to_json()["rates"], "position": 0.25}),
    ],
)  # fmt: skip
def test_every_option_reaches_the_run(picture, tmp_path, name, value, field, expected):
    succeeded("run", picture, "-o", tmp_path, "--max", 4, "--steps", 12, name, value, "-q", "--no-export")
    options = strict_json((tmp_path / "run.json").read_text())["options"]
    assert options == {**RunConfig(count=4, steps=12, size=WIDTH).to_json(), field: expected}
    assert load_scene(tmp_path / "scene.json").count == 4


def test_a_canvas_is_as_large_as_asked(picture, tmp_path):
    for size, expected in (("12", (12, 8)), ("20x12", (20, 12)), ("72", (72, 48))):
        succeeded("run", picture, "-o", tmp_path / size, "--max", 2, "--steps", 2, "--size", size, "-q")
        assert Image.open(tmp_path / size / "painting.png").size == expected


def test_a_small_picture_is_painted_at_the_default_size(tmp_path):
    sprite = np.zeros((16, 12, 4), np.uint8)
    sprite[2:14, 3:9] = (216, 40, 0, 255)
    sprite[5:8, 4:8] = (0, 88, 248, 255)
    Image.fromarray(sprite).save(tmp_path / "sprite.png")
    words = ("run", tmp_path / "sprite.png", "--max", 300, "--steps", 2, "--no-export")
    result = succeeded(*words, "-o", tmp_path / "large", enlarge=True)
    target = np.asarray(Image.open(tmp_path / "large" / "target.png"))
    np.testing.assert_array_equal(target, sprite.repeat(16, axis=0).repeat(16, axis=1))
    assert load_scene(tmp_path / "large" / "scene.json").count == 300 and "note" not in result.stderr
    result = succeeded(*words, "-o", tmp_path / "small", "--size", 16)
    assert Image.open(tmp_path / "small" / "painting.png").size == (12, 16)
    assert load_scene(tmp_path / "small" / "scene.json").count == 192
    (note,) = [line for line in result.stderr.splitlines() if line.startswith("note: ")]
    assert "12 x 16" in note and "192 shapes instead of 300" in note
    assert "note" not in succeeded(*words, "-o", tmp_path / "quiet", "--size", 16, "-q").stderr
    assert strict_json((tmp_path / "small" / "run.json").read_text())["options"]["count"] == 192


def test_colours_that_are_not_understood_are_noted_in_one_line(tmp_path):
    unknown = chunk(b"cICP", bytes((3, 13, 0, 1)))
    (tmp_path / "a.png").write_bytes(png_of(np.full((8, 8, 3), 99, np.uint8), 8, RGB, unknown))
    words = ("run", tmp_path / "a.png", "-o", tmp_path / "run", "--max", 2, "--steps", 2, "--no-export")
    (note,) = [line for line in succeeded(*words).stderr.splitlines() if "a.png" in line]
    assert note.startswith("note: ") and "primaries 3" in note


def test_a_run_without_steps_still_leaves_everything(picture, tmp_path):
    succeeded("run", picture, "-o", tmp_path, "--max", 3, "--steps", 0, "-q")
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert load_scene(tmp_path / "scene.json").count == 3


@pytest.mark.parametrize("colour", [0.0, 1.0])
def test_a_picture_of_one_colour_leaves_metrics_that_are_json(tmp_path, colour):
    save_png(np.full((8, 9, 3), colour), tmp_path / "plain.png")
    result = succeeded("run", tmp_path / "plain.png", "-o", tmp_path / "run", "--max", 3, "--steps", 6, "-q", "--json")
    assert strict_json((tmp_path / "run" / "metrics.json").read_text())["mse"] < 1e-6
    assert strict_json(result.stdout)["shapes"] == 3


# --- where it lands, and what is printed ---


def test_a_second_run_gets_a_numbered_sibling_and_leaves_the_first_alone(picture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("run", picture, "--max", 3, "--steps", 4)
    assert succeeded(*words).stdout.splitlines()[-1] == str(Path("outputs/tiny"))
    before = contents(tmp_path / "outputs" / "tiny")
    assert succeeded(*words, "--seed", 1).stdout.splitlines()[-1] == str(Path("outputs/tiny-2"))
    succeeded(*words)
    assert contents(tmp_path / "outputs" / "tiny") == before
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {"tiny", "tiny-2", "tiny-3"}


def test_an_empty_folder_is_used_and_a_full_one_is_not(picture, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    for name, lands in (("empty", "empty"), ("full", "full-2")):
        succeeded("run", picture, "-o", tmp_path / name, "--max", 2, "--steps", 2)
        assert {path.name for path in (tmp_path / lands).iterdir()} == FILES
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["note.txt"]


def test_results_go_to_stdout_and_progress_to_stderr(picture, tmp_path):
    result = succeeded("run", picture, "-o", tmp_path / "a", "--max", 3, "--steps", 30)
    assert "3 shapes" in result.stdout and "30 steps" in result.stdout and " dB" in result.stdout
    assert result.stdout.splitlines()[-1] == str(tmp_path / "a")
    assert re.search(r"step 30 of 30, 3 shapes, [\d.]+ dB", result.stderr)


def test_quiet_prints_nothing(picture, tmp_path):
    result = succeeded("run", picture, "-o", tmp_path / "a", "--max", 3, "--steps", 30, "-q")
    assert result.output == "" and result.stderr == ""


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_json_prints_the_metrics_alone_on_stdout(picture, tmp_path, quiet):
    result = succeeded("run", picture, "-o", tmp_path / "a", "--max", 3, "--steps", 30, "--json", *quiet)
    assert strict_json(result.stdout) == strict_json((tmp_path / "a" / "metrics.json").read_text())
    assert (result.stderr == "") == bool(quiet)


# --- errors ---


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["none.png"], "none.png"),
        (["folder"], "folder"),
        (["words.png"], "words.png"),
        (["tiny.png", "--size", "big"], "384 or 256x256"),
        (["tiny.png", "--size", "0"], "384 or 256x256"),
        (["tiny.png", "--background", "red"], "#rrggbb"),
        (["tiny.png", "--config", "none.json"], "none.json"),
        (["tiny.png", "--config", "words.png"], "words.png"),
        (["tiny.png", "--config", "other.json"], "other.json"),
        (["tiny.png", "--config", "wrong.json"], "growth"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line_and_leaves_no_folder(picture, tmp_path, monkeypatch, words, part):
    monkeypatch.chdir(tmp_path)
    shutil.copy(picture, "tiny.png")
    Path("folder").mkdir()
    Path("words.png").write_text("words")
    Path("other.json").write_text("{}")
    Path("wrong.json").write_text('{"format": "artpipe-run", "version": 1, "options": {"growth": "many"}}')
    before = sorted(tmp_path.rglob("*"))
    assert part in refusal("run", *words, "--max", 2, "--steps", 2)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
def test_a_device_that_is_missing_is_refused_in_one_line_and_leaves_no_folder(picture, tmp_path, renderer):
    words = ("run", picture, "-o", tmp_path / "a", "--max", 2, "--steps", 2, "--renderer", renderer, "--device", "cuda")
    if run_cli(*words).exit_code == 0:
        pytest.skip("a GPU is here")
    assert "device='cpu'" in refusal(*words)
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_that_cannot_be_is_refused_in_one_line(picture, tmp_path):
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        assert "-o" in refusal("run", picture, "-o", folder, "--max", 2, "--steps", 2)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "words",
    [
        ["run"], ["nope"], ["run", "a.png", "b.png"], ["run", "a.png", "--nope"], ["run", "a.png", "--max", "0"],
        ["run", "a.png", "--steps", "many"], ["run", "a.png", "--steps", "-1"],
        ["run", "a.png", "--renderer", "cpu"], ["run", "a.png", "--preset", "fast"], ["run", "a.png", "--pool", "0.5"],
        ["run", "a.png", "--relocate-fraction", "1.5"], ["run", "a.png", "--rate-colour", "-1"],
        ["run", "a.png", "--rate-colour", "nan"], ["run", "a.png", "--rate-position", "inf"],
        ["run", "a.png", "--max", "250001"], ["run", "a.png", "--seed", "9223372036854775808"],
        ["render", "scene.json"], ["render", "scene.json", "-o", "a.png", "--width", "0"], ["bench", "--nope"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_usage_errors_exit_with_two_and_say_how_to_get_help(words):
    result = run_cli(*words)
    assert result.exit_code == 2 and result.stdout == ""
    assert "Error: " in result.stderr and "--help" in result.stderr


# --- render ---


@pytest.mark.parametrize("width", [1, 18, 100])
def test_render_draws_as_wide_as_asked(finished, tmp_path, width):
    succeeded("render", finished / "scene.json", "-o", tmp_path / "a.png", "--width", width)
    image = np.asarray(Image.open(tmp_path / "a.png"))
    assert image.shape == (max(1, round(HEIGHT * width / WIDTH)), width, 3)
    expected = reference.render(load_scene(finished / "scene.json").scaled(width))
    np.testing.assert_allclose(image / 255, expected, atol=0.51 / 255)


def test_render_draws_a_bare_canvas(tmp_path):
    save_scene(Scene.empty(Canvas(4, 3, (1, 0, 0.2))), tmp_path / "scene.json")
    succeeded("render", tmp_path / "scene.json", "-o", tmp_path / "a.PNG")
    assert np.asarray(Image.open(tmp_path / "a.PNG")).tolist() == [[[255, 0, 51]] * 4] * 3


def test_render_refuses_in_one_line_what_it_cannot_draw_or_write(finished, tmp_path):
    scene = finished / "scene.json"
    assert ".png" in refusal("render", scene, "-o", tmp_path / "a.gif")
    assert "none.json" in refusal("render", tmp_path / "none.json", "-o", tmp_path / "a.png")
    assert "run.json" in refusal("render", finished / "run.json", "-o", tmp_path / "a.png")
    assert "a.png" in refusal("render", scene, "-o", tmp_path / "none" / "a.png")
    assert list(tmp_path.iterdir()) == []


# --- processes ---


def interrupted(*words, cwd):
    """Starts a command, presses Ctrl-C after its first line of progress, and gives back how it ended."""
    command = [sys.executable, "-m", "artpipe", *map(str, words)]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if re.match(r"\w+: step \d+ of ", line):
                    break
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, errors


@pytest.mark.parametrize("renderer", ["jax", pytest.param("torch", marks=pytest.mark.slow)])
def test_ctrl_c_saves_what_stands(picture, tmp_path, renderer):
    code, errors = interrupted(
        "run", picture, "-o", "run", "--max", 12, "--growth", 4, "--steps", 1_000_000, "--renderer", renderer,
        "--size", WIDTH, cwd=tmp_path,
    )  # fmt: skip
    assert code == 130
    assert "interrupted" in errors and "Traceback" not in errors
    assert {path.name for path in (tmp_path / "run").iterdir()} == {*FILES, "checkpoint"}
    metrics = strict_json((tmp_path / "run" / "metrics.json").read_text())
    scene = load_scene(tmp_path / "run" / "scene.json")
    assert 0 < metrics["shapes"] == scene.count <= 12
    assert 0 < metrics["steps"] < 1_000_000
    assert metrics["mse"] == pytest.approx(mean_squared_error(reference.render(scene), load_picture(picture)), rel=1e-4)


HEAVY = (
    *("jax", "jaxlib", "torch", "numba", "imageio", "scipy", "optax"),
    *("pandas", "jinja2", "matplotlib", "optuna"),
)
WITHOUT_HEAVY = f"""
import sys
import artpipe
assert not [name for name in {HEAVY} if name in sys.modules], "import artpipe"
dir(artpipe), artpipe.__all__
from artpipe.pipeline.cli.commands import main
benches = [["bench", name] for name in ("paintings", "sweep", "renderers")]
for words in ([], ["run"], ["load"], ["grow"], ["search"], ["render"], ["export"], ["resume"], *benches):
    try:
        main([*words, "--help"], prog_name="artpipe")
    except SystemExit as end:
        assert end.code == 0, words
    heavy = [name for name in {HEAVY} if name in sys.modules]
    assert not heavy, (words, heavy)
"""


def test_help_and_import_load_neither_frameworks_nor_compilers():
    done = subprocess.run([sys.executable, "-c", WITHOUT_HEAVY], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_module_can_be_run():
    done = subprocess.run([sys.executable, "-m", "artpipe", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("Usage: ") and done.stderr == ""
