"""Stages chained on the command line, through `artpipe load`."""

import re

import click
import command_line
import numpy as np
import pytest
from PIL import Image

from artpipe import load_fitting_renderer, load_scene
from artpipe.pipeline.cli.chain import STAGE_COMMANDS
from artpipe.renderers.kernels import reference
from artpipe.renderers.registry import FITTING_RENDERERS
from artpipe.stages.base import Run
from artpipe.stages.exporters.table import EXPORTERS
from artpipe.stages.grow import Grow
from artpipe.stages.pictures.picture import load_picture, save_png
from artpipe.stages.placing.place import Newcomers
from artpipe.stages.refine import Refine, Settle
from artpipe.stages.relocate import Relocate, Search
from artpipe.stages.seed import Seed

WIDTH, HEIGHT = 24, 20

# Every stage except export: its command line, and the same in Python.
STAGES = {
    "seed": ("seed --count 5 --seeder gain", Seed(5, Newcomers("gain"))),
    "grow": ("grow --max 13 --growth 4 --steps 6 --seeder grid", Grow(13, 4, 6, Newcomers("grid"))),
    "refine": ("refine --steps 4", Refine(4)),
    "relocate": ("relocate --fraction 0.4 --max 11", Relocate(0.4, 11)),
    "search": ("search --steps 7 --every 3 --fraction 0.3 --max 9", Search(7, 9, 3, 0.3)),
    "settle": ("settle --steps 5", Settle(5)),
}
SHORT = "grow --max 4 --growth 2 --steps 2"


def parts(words):
    """The words of a command line; each argument may hold several."""
    return [part for word in words for part in str(word).split(" ")]


def run_cli(*words):
    return command_line.run_cli(*parts(words))


def carried_out(*words):
    return command_line.succeeded(*parts(words))


def refusal(*words):
    return command_line.refusal(*parts(words))


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "tiny.png"
    save_png(np.random.default_rng(0).uniform(0, 1, (HEIGHT // 4, WIDTH // 4, 3)).repeat(4, 0).repeat(4, 1), path)
    return path


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
def test_a_chain_of_every_stage_gives_the_same_scene_as_python(picture, tmp_path, renderer):
    assert {*STAGES, "export"} == set(STAGE_COMMANDS)
    words = " ".join(words for words, _ in STAGES.values())
    carried_out(f"load --seed 4 {picture} --size 24 --renderer {renderer}", words, f"export {tmp_path}/scene.json")
    run = Run(load_picture(picture, 24), load_fitting_renderer(renderer), seed=4)
    for _, stage in STAGES.values():
        list(stage(run))
    assert load_scene(tmp_path / "scene.json").same_as(run.scene)
    assert run.scene.count == 9


def test_options_of_load_apply_to_the_chain(picture, tmp_path):
    options = "--size 12x10 --background #ff0000 --softness-min 4 --seed 5"
    carried_out(f"load {picture} {options} seed --count 3 refine --steps 2 seed --count 4 export {tmp_path}/a.json")
    scene = load_scene(tmp_path / "a.json")
    assert scene.count == 7 and (scene.canvas.width, scene.canvas.height) == (12, 10)
    assert scene.canvas.background == (1, 0, 0) and scene.softness[:3].min() > 3.9


@pytest.mark.parametrize("rest", [[], ["refine", "--steps", "1"]], ids=["last", "then refine"])
def test_a_value_of_an_option_may_be_the_name_of_a_stage(picture, tmp_path, rest):
    file = tmp_path / "a.svg"
    for words, title in (
        ("--title search", "search"), ("--title=grow", "grow"), ("--flat --title --flat", "--flat"),
        ("--title load --width 30", "load"), ("--title seed --", "seed"),
    ):  # fmt: skip
        words = ["--edges", *SHORT.split(), "export", *words.split(), file, *rest]
        command_line.succeeded("load", picture, *words)
        assert f"<title>{title}</title>" in file.read_text()


def test_after_two_dashes_words_are_arguments_up_to_the_next_stage(picture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-q").write_bytes(picture.read_bytes())
    command_line.succeeded("load", "--", "-q", *SHORT.split(), "export", "--", "--title.json", *SHORT.split())
    assert load_scene("--title.json").count == 4


def test_load_refuses_options_that_the_chain_would_ignore(picture):
    for option in ("--max 3", "--growth 2", "--steps 3", "--preset draft", "--seeder grid", "--relocate-every 2"):
        assert run_cli(f"load {picture} {option} grow --max 4").exit_code == 2, option


def test_more_shapes_than_a_scene_file_holds_are_refused_before_any_work(picture, tmp_path):
    for words in ("seed --count 250001", "grow --max 999999", "seed --count 200000 seed --count 200000"):
        line = refusal("load", picture, words, "export", tmp_path / "a.json")
        assert "250000" in line and "--count" in line and not any(tmp_path.iterdir())


def test_export_writes_several_files_of_the_current_scene(picture, tmp_path):
    first, then = [tmp_path / f"first{ending}" for ending in (".png", ".svg", ".json")], tmp_path / "then.json"
    first[0].write_text("old")
    result = carried_out(f"load {picture} {SHORT} export", *first, "settle --steps 3 export", then)
    assert result.stdout.splitlines() == [str(path) for path in (*first, then)]
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (*first, then)}
    scene, settled = load_scene(tmp_path / "first.json"), load_scene(then)
    assert np.array_equal(scene.ids, settled.ids) and not scene.same_as(settled)
    image = np.asarray(Image.open(tmp_path / "first.png"))
    np.testing.assert_allclose(image / 255, reference.render(scene), atol=0.51 / 255)


def test_progress_goes_to_stderr_and_quiet_prints_nothing(picture, tmp_path):
    result = carried_out(f"load {picture} {SHORT} export {tmp_path}/a.png")
    assert re.search(r"grow: step 2 of 2, 4 shapes", result.stderr) and "grow" not in result.stdout
    result = carried_out(f"load {picture} -q {SHORT} export {tmp_path}/a.png")
    assert (result.stdout, result.stderr) == ("", "")


# --- help and errors ---


@pytest.mark.parametrize("name", STAGE_COMMANDS)
def test_each_stage_has_help_alone_and_in_a_chain(picture, name):
    texts = [carried_out(f"load {picture} {SHORT} {name} --help").stdout]
    if name != "export":  # alone, it is another command
        texts.append(carried_out(f"{name} --help").stdout)
    for text in texts:
        assert text.startswith("Usage: ") and "Stage: " in text
        for option in STAGE_COMMANDS[name].params:
            is_argument = isinstance(option, click.Argument)
            assert (option.name.upper() if is_argument else option.opts[-1]) in text
    assert texts[0].split("\n", 1)[1] == texts[-1].split("\n", 1)[1]  # all but the usage line


def test_a_stage_without_load_and_load_without_stages_are_refused_with_an_example(picture):
    for name in STAGES:
        message = refusal(name)
        assert name in message and "artpipe load" in message
    message = refusal(f"load {picture}")
    assert all(name in message for name in STAGE_COMMANDS)


def test_load_without_a_picture_is_a_usage_error():
    for words in ("load", "load grow", "load --seed 3 grow"):
        result = run_cli(words)
        assert result.exit_code == 2 and "PICTURE" in result.stderr


def test_invalid_paths_and_values_are_refused_before_any_work(picture, tmp_path):
    for file in ("a.xyz", "a", ".png", "a.png.bak"):
        good = f"export {tmp_path}/good.png"
        message = refusal(f"load {tmp_path}/none.png {SHORT} {good} {SHORT} export {tmp_path}/{file}")
        assert file in message and all(ending in message for ending in EXPORTERS)
    assert "none" in refusal(f"load {picture} {SHORT} export {tmp_path}/good.png {tmp_path}/none/a.png")
    for words in ("none.png", f"--size big {picture}", f"--background reddish {picture}"):
        refusal(f"load {words} {SHORT} export {tmp_path}/a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_usage_error_anywhere_in_a_chain_exits_with_2_before_any_work(picture, tmp_path):
    for words in (
        "grow --max 0", "grow --nope 3", "grow 5", "grow --growth x", "refine --steps -1", "relocate --fraction 2",
        "search --steps -1", "seed --seeder nope", "seed --count", "settle --floor 3", "export", "grow nope",
    ):  # fmt: skip
        result = run_cli(f"load {picture} {SHORT} export {tmp_path}/good.png {words}")
        assert result.exit_code == 2, words
        assert "Error: " in result.stderr and result.stdout == ""
        assert list(tmp_path.iterdir()) == []
