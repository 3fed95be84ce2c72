"""The command line: `artpipe run`, `render`, help and errors. Chained stages: test_chain.py."""

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

import artpipe
from artpipe import Canvas, InputError, Scene, load_scene, mean_squared_error, save_scene
from artpipe.pipeline.cli.commands import main
from artpipe.pipeline.folders.rundir import load_config, load_result, scene_file
from artpipe.pipeline.options import RunConfig
from artpipe.renderers.kernels import reference
from artpipe.renderers.options import settings_of
from artpipe.renderers.registry import FITTING_RENDERERS
from artpipe.stages.history import History
from artpipe.stages.pictures.picture import load_picture, save_png

README = Path(__file__).parents[1] / "README.md"
FILES = {
    "painting.png", "target.png", "comparison.png", "scene.json", "metrics.json", "run.json", "snapshots.npz",
    "painting.svg", "timelapse.gif", "viewer.html",
}  # fmt: skip
WIDTH, HEIGHT = 36, 24
MOST, STEPS = 14, 40
OPTIONS = ["--max", MOST, "--growth", 5, "--steps", STEPS, "--pool", 1.5, "--relocate-every", 6, "--seed", 3]
BRIEF = ["--max", 3, "--steps", 30, "--no-export"]


def strict_json(text):
    """JSON as in the standard, which has neither NaN nor Infinity."""
    return json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))


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
    """The folder of a finished run of either renderer; read-only."""
    folder = tmp_path_factory.mktemp("finished") / request.param
    succeeded("run", picture, "-o", folder, "--renderer", request.param, *OPTIONS, "-q")
    return folder


# --- help ---


def commands(group=main, names=()):
    """(words, command) of every command that is not a group."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*names, name))
        else:
            yield (*names, name), command


COMMANDS = dict(commands())
WITHOUT_DEFAULT = {"config", "exports", "params", "vary", "published", "readme"}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_the_default_of_every_option(words):
    result, command = succeeded(*words, "--help"), COMMANDS[words]
    assert result.stdout.startswith("Usage: ") and result.stderr == ""
    assert succeeded(*words, "-h").stdout == result.stdout
    first_line = command.help.split("\n")[0]
    assert first_line in " ".join(result.stdout.split()) and first_line[0].isupper() and first_line.endswith(".")
    root = click.Context(main, **main.context_settings)
    with root, click.Context(command, parent=root, **command.context_settings) as context:
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, option.name
                if not option.is_flag and option.name not in WITHOUT_DEFAULT:
                    text = option.get_help_record(context)[1]
                    assert re.search(r"\[(.*; )?default: |\[(.*; )?required", text), f"{option.opts[0]}: {text}"


def test_the_readme_mentions_every_command_and_every_file_of_a_run():
    if not README.exists():
        pytest.skip("README.md is not beside tests/")
    text = README.read_text(encoding="utf-8")
    code = re.findall(r"^    .*$|`[^`\n]+`", text, re.MULTILINE)
    for words in COMMANDS:
        assert any(re.search(rf"(?<![-\w/]){words[-1]}\b", line) for line in code), words
    assert set(re.findall(r"^\| `(\w+\.\w+)` \|", text, re.MULTILINE)) == {*FILES, "mask.png"}


def test_the_command_line_can_set_every_option_of_a_run():
    flags = {flag for option in main.commands["run"].params for flag in option.opts}
    assert {flag for setting in settings_of(RunConfig) for flag in setting.flags} <= flags


def test_the_group_shows_example_lines_and_its_version():
    text = succeeded("--help").stdout
    assert run_cli().stderr == text
    assert len(re.findall(r"^  artpipe \w+ .*$", text, re.MULTILINE)) >= 2
    assert re.fullmatch(r"artpipe, version \d+\.\d+\.\d+\S*\n", succeeded("--version").stdout)


# --- results of a run ---


def test_metrics_and_history_describe_the_run(finished, picture):
    assert {path.name for path in finished.iterdir()} == FILES
    metrics, scene = strict_json((finished / "metrics.json").read_text()), load_scene(finished / "scene.json")
    assert metrics["shapes"] == scene.count == MOST and metrics["steps"] == STEPS
    assert (metrics["renderer"], metrics["device"], metrics["kernel"]) == (finished.name, "cpu", "numba")
    assert metrics["mse"] == pytest.approx(mean_squared_error(reference.render(scene), load_picture(picture)), rel=1e-4)
    assert metrics["psnr"] == pytest.approx(-10 * np.log10(metrics["mse"]))
    assert metrics["seed_loss"] == pytest.approx(4 * metrics["mse"])
    assert 0 < metrics["fit_seconds"] <= metrics["total_seconds"]
    history = metrics["history"]
    assert len(history) > 3 and all(set(row) == {"step", "shapes", "seconds", "mse"} for row in history)
    for name in ("step", "seconds"):
        assert (np.diff([row[name] for row in history]) >= 0).all()
    assert history[-1]["step"] == STEPS and history[-1]["shapes"] == MOST
    assert history[-1]["mse"] == pytest.approx(metrics["mse"], rel=0.02)
    assert history[-1]["mse"] < 0.5 * history[0]["mse"]


def test_the_rendered_scene_is_the_painting(finished, tmp_path):
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
    first = load_result(finished).history.snapshots[0].scene
    assert first.count == 5
    np.testing.assert_allclose(image[:, :WIDTH] / 255, reference.render(first), atol=0.51 / 255)


def test_a_configuration_repeats_a_run_bit_for_bit(finished, picture, tmp_path):
    record = strict_json((finished / "run.json").read_text())
    assert record["picture"] == str(picture) and {"artpipe", "numpy", "jax", "numba"} <= set(record["packages"])
    succeeded("run", picture, "-o", tmp_path / "again", "--config", finished / "run.json", "-q", "--no-export")
    for name in ("scene.json", "painting.png", "comparison.png", "run.json"):
        assert (tmp_path / "again" / name).read_bytes() == (finished / name).read_bytes()


def test_python_paints_the_same_as_the_command_line(picture, finished):
    result = artpipe.fit(
        picture, count=MOST, growth=5, steps=STEPS, pool=1.5, relocate_every=6, seed=3, renderer=finished.name,
        size=WIDTH,
    )  # fmt: skip
    assert result.scene.same_as(load_scene(finished / "scene.json"))


def test_options_override_a_configuration_even_with_their_defaults(finished, picture, tmp_path):
    succeeded(
        "run", picture, "-o", tmp_path, "--config", finished / "run.json", "-q", "--no-export", "--max", 6,
        "--steps", 9, "--rate-colour", 0.02, "--background", "#336699", "--pool", RunConfig.pool,
    )  # fmt: skip
    before, after = (strict_json((folder / "run.json").read_text())["options"] for folder in (finished, tmp_path))
    changes = {"count": 6, "steps": 9, "background": "#336699", "pool": RunConfig.pool}
    assert after == {**before, **changes, "rates": {**before["rates"], "colour": 0.02}}
    scene = load_scene(tmp_path / "scene.json")
    assert scene.count == 6 and scene.canvas.background == pytest.approx((0.2, 0.4, 0.6))


def test_a_configuration_of_version_1_is_read(finished, tmp_path):
    content = strict_json((finished / "run.json").read_text())
    content["options"]["most"] = content["options"].pop("count")
    (tmp_path / "old.json").write_text(json.dumps({**content, "version": 1}))
    assert load_config(tmp_path / "old.json") == load_config(finished / "run.json")
    (tmp_path / "old.json").write_text(json.dumps(content))  # version 2 has no such option
    with pytest.raises(InputError, match="'most'"):
        load_config(tmp_path / "old.json")


def test_every_option_reaches_the_run(picture, tmp_path):
    given = {
        "growth": 7, "count": 4, "steps": 12, "preset": "draft", "device": "cpu", "seed": 9, "size": "20x12",
        "seeder": "grid", "pool": 2.0, "radius_scale": 0.9, "softness_min": 0.5, "relocate_every": 4,
        "relocate_fraction": 0.1, "background": "black",
    }  # fmt: skip
    flags = {"count": "-n", "seed": "--seed"}
    words = [word for name, value in given.items() for word in (flags.get(name, f"--{name.replace('_', '-')}"), value)]
    succeeded("run", picture, "-o", tmp_path, *words, "--rate-position", 0.25, "-q", "--no-export")
    defaults = RunConfig().to_json()
    options = strict_json((tmp_path / "run.json").read_text())["options"]
    assert options == {**defaults, **given, "rates": {**defaults["rates"], "position": 0.25}}
    assert Image.open(tmp_path / "painting.png").size == (20, 12)


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


def test_colour_information_that_is_not_understood_is_noted_in_one_line(tmp_path):
    unknown = chunk(b"cICP", bytes((3, 13, 0, 1)))
    (tmp_path / "a.png").write_bytes(png_of(np.full((8, 8, 3), 99, np.uint8), 8, RGB, unknown))
    result = succeeded("run", tmp_path / "a.png", "-o", tmp_path / "run", "--max", 2, "--steps", 2, "--no-export")
    (note,) = [line for line in result.stderr.splitlines() if "a.png" in line]
    assert note.startswith("note: ") and "primaries 3" in note


def test_a_run_without_steps_on_a_plain_picture_writes_every_file(tmp_path):
    save_png(np.full((8, 9, 3), 1.0), tmp_path / "plain.png")
    succeeded("run", tmp_path / "plain.png", "-o", tmp_path / "run", "--max", 3, "--steps", 0, "-q")
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    assert load_scene(tmp_path / "run" / "scene.json").count == 3
    assert strict_json((tmp_path / "run" / "metrics.json").read_text())["mse"] < 1e-6


def test_results_go_to_stdout_and_progress_to_stderr_unless_quiet_or_json(picture, tmp_path):
    result = succeeded("run", picture, "-o", tmp_path / "a", *BRIEF)
    assert "3 shapes" in result.stdout and "30 steps" in result.stdout and " dB" in result.stdout
    assert result.stdout.splitlines()[-1] == str(tmp_path / "a")
    assert re.search(r"step 30 of 30, 3 shapes, [\d.]+ dB", result.stderr)
    result = succeeded("run", picture, "-o", tmp_path / "b", *BRIEF, "-q")
    assert (result.stdout, result.stderr) == ("", "")
    for name, quiet in (("c", []), ("d", ["-q"])):
        result = succeeded("run", picture, "-o", tmp_path / name, *BRIEF, "--json", *quiet)
        told = strict_json(result.stdout)
        timings = told.pop("timings")
        assert told == strict_json((tmp_path / name / "metrics.json").read_text())
        assert list(timings["parts"]) == ["framework", "decode", "warm-up", "fit", "save", "exports"]
        total = sum(timings["parts"].values())
        assert told["fit_seconds"] <= timings["parts"]["fit"] < total < timings["ended"] - timings["began"] + 0.01
        assert timings["files"] == {}  # --no-export
        assert (result.stderr == "") == bool(quiet)


# --- errors ---


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["none.png"], "none.png"), (["folder"], "folder"), (["words.png"], "words.png"),
        (["tiny.png", "--size", "big"], "384 or 256x256"), (["tiny.png", "--size", "0"], "384 or 256x256"),
        (["tiny.png", "--background", "rouge"], "#rrggbb"), (["tiny.png", "--config", "none.json"], "none.json"),
        (["tiny.png", "--config", "words.png"], "words.png"), (["tiny.png", "--config", "other.json"], "other.json"),
        (["tiny.png", "--config", "wrong.json"], "growth"),
    ],
)  # fmt: skip
def test_invalid_input_is_refused_in_one_line_without_a_folder(picture, tmp_path, monkeypatch, words, part):
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
def test_a_missing_device_is_refused_in_one_line_without_a_folder(picture, tmp_path, renderer):
    words = ("run", picture, "-o", tmp_path / "a", "--max", 2, "--steps", 2, "--renderer", renderer, "--device", "cuda")
    if run_cli(*words).exit_code == 0:
        pytest.skip("a GPU is here")
    assert "device='cpu'" in refusal(*words)
    assert list(tmp_path.iterdir()) == []


USAGE_ERRORS = """
run; nope; run a.png b.png; run a.png --nope; run a.png --max 0; run a.png --steps many; run a.png --steps -1;
run a.png --renderer cpu; run a.png --preset fast; run a.png --pool 0.5; run a.png --relocate-fraction 1.5;
run a.png --rate-colour -1; run a.png --rate-colour nan; run a.png --rate-position inf; run a.png --max 250001;
run a.png --seed 9223372036854775808; render scene.json; render scene.json -o a.png --width 0; bench --nope
"""


def test_usage_errors_exit_with_2_and_name_the_help():
    for line in USAGE_ERRORS.split(";"):
        result = run_cli(*line.split())
        assert result.exit_code == 2 and result.stdout == "", line
        assert "Error: " in result.stderr and "--help" in result.stderr, line


# --- render ---


def test_render_draws_at_any_width(finished, tmp_path):
    save_scene(Scene.empty(Canvas(4, 3, (1, 0, 0.2))), tmp_path / "empty.json")
    for path, width in ((finished / "scene.json", 1), (finished, 100), (tmp_path / "empty.json", 8)):
        succeeded("render", path, "-o", tmp_path / "a.PNG", "--width", width)
        image, scene = np.asarray(Image.open(tmp_path / "a.PNG")), load_scene(scene_file(path)).scaled(width)
        assert image.shape == (scene.canvas.height, width, 3)
        np.testing.assert_allclose(image / 255, reference.render(scene), atol=0.51 / 255)


def test_render_refuses_invalid_input_and_output_in_one_line(finished, tmp_path):
    scene = finished / "scene.json"
    assert ".png" in refusal("render", scene, "-o", tmp_path / "a.gif")
    assert "none.json" in refusal("render", tmp_path / "none.json", "-o", tmp_path / "a.png")
    assert "run.json" in refusal("render", finished / "run.json", "-o", tmp_path / "a.png")
    assert "a.png" in refusal("render", scene, "-o", tmp_path / "none" / "a.png")
    assert list(tmp_path.iterdir()) == []


# --- interruption ---


def test_ctrl_c_saves_the_scene_with_all_files_of_a_run_and_ends_a_chain_without_a_traceback(
    picture, tmp_path, monkeypatch
):
    see, steps = History.see, []

    def press(history, event, seconds):
        see(history, event, seconds)
        steps.append(event.step)
        if event.step >= 20 > max(steps[:-1], default=0):  # once: a second signal ends the process
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(History, "see", press)
    folder = tmp_path / "run"
    result = run_cli("run", picture, "-o", folder, "--max", 6, "--growth", 3, "--steps", 1_000_000)
    assert result.exit_code == 130 and f"To continue: artpipe resume {folder}" in result.stderr.splitlines()[-1]
    assert {path.name for path in folder.iterdir()} == {*FILES, "checkpoint"}
    metrics, scene = strict_json((folder / "metrics.json").read_text()), load_scene(folder / "scene.json")
    assert metrics["reason"] == "interrupted" and 20 <= metrics["steps"] < 1_000_000
    assert 0 < metrics["shapes"] == scene.count <= 6
    assert metrics["mse"] == pytest.approx(mean_squared_error(reference.render(scene), load_picture(picture)), rel=1e-4)
    steps.clear()
    result = run_cli("load", picture, *"seed --count 3 refine --steps 1000000 export".split(), tmp_path / "a.json")
    assert result.exit_code == 130 and load_scene(tmp_path / "a.json").count == 3


# --- import ---


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
benches = [["bench", name] for name in ("paintings", "sweep", "renderers", "command")]
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
