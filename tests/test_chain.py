"""Stages chained on the command line, through `artpipe load`."""

import re
import subprocess
import sys

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
from artpipe.stages.placing.seeders import SEEDERS
from artpipe.stages.refine import Refine, Settle
from artpipe.stages.relocate import Relocate, Search
from artpipe.stages.seed import Seed

WIDTH, HEIGHT = 24, 20

# Every stage but export: its words, and the same in Python.
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
    """The words of a line; each may hold several."""
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


def test_the_table_above_holds_every_stage():
    assert {*STAGES, "export"} == set(STAGE_COMMANDS)


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
def test_a_chain_of_every_stage_gives_the_scene_that_the_same_stages_give_in_python(picture, tmp_path, renderer):
    words = " ".join(words for words, _ in STAGES.values())
    carried_out(f"load {picture} --renderer {renderer} --seed 4 --size 24", words, f"export {tmp_path}/scene.json")
    run = Run(load_picture(picture, 24), load_fitting_renderer(renderer), seed=4)
    for _, stage in STAGES.values():
        list(stage(run))
    assert load_scene(tmp_path / "scene.json").same_as(run.scene)
    assert run.scene.count == 9


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_works_as_the_last_and_as_the_only_one(picture, tmp_path, name):
    words, stage = STAGES[name]
    carried_out(f"load {picture} {words} export {tmp_path}/alone.json")
    carried_out(f"load {picture} {SHORT} {words} export {tmp_path}/last.json")
    for first, path in (([], "alone.json"), ([Grow(4, 2, 2)], "last.json")):
        run = Run(load_picture(picture), load_fitting_renderer("jax"))
        for each in (*first, stage):
            list(each(run))
        assert load_scene(tmp_path / path).same_as(run.scene)


def test_a_stage_may_come_twice(picture, tmp_path):
    carried_out(f"load {picture} seed --count 3 refine --steps 2 seed --count 4 export {tmp_path}/a.json")
    assert load_scene(tmp_path / "a.json").count == 7


@pytest.mark.parametrize("seeder", SEEDERS)
def test_every_seeder_can_be_chosen(picture, tmp_path, seeder):
    carried_out(f"load {picture} seed --count 5 --seeder {seeder} export {tmp_path}/a.json")
    assert load_scene(tmp_path / "a.json").count == 5


def test_options_may_stand_before_and_after_the_picture(picture, tmp_path):
    scenes = []
    for k, words in enumerate((f"--seed 5 {picture} --size 12", f"{picture} --size 12 --seed 5")):
        carried_out(f"load {words} {SHORT} export {tmp_path}/{k}.json")
        scenes.append(load_scene(tmp_path / f"{k}.json"))
    assert scenes[0].same_as(scenes[1]) and scenes[0].canvas.width == 12


@pytest.mark.parametrize(
    ("words", "title"),
    [
        (["--title", "search"], "search"), (["--title=grow"], "grow"), (["--flat", "--title", "--flat"], "--flat"),
        (["--title", "load", "--width", "30"], "load"), (["--title", "seed", "--"], "seed"),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("rest", [[], ["refine", "--steps", "1"]], ids=["last", "then refine"])
def test_a_value_of_an_option_may_be_the_name_of_a_stage(picture, tmp_path, words, title, rest):
    file = tmp_path / "a.svg"
    command_line.succeeded("load", picture, "--edges", *SHORT.split(), "export", *words, file, *rest)
    assert f"<title>{title}</title>" in file.read_text()


def test_after_two_dashes_words_are_arguments_up_to_the_next_stage(picture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-q").write_bytes(picture.read_bytes())
    command_line.succeeded("load", "--", "-q", *SHORT.split(), "export", "--", "--title.json", *SHORT.split())
    assert load_scene("--title.json").count == 4


def test_seed_is_both_an_option_and_a_stage(picture, tmp_path):
    carried_out(f"load {picture} --seed 5 seed --count 3 export {tmp_path}/a.json")
    assert load_scene(tmp_path / "a.json").count == 3


@pytest.mark.parametrize(
    ("option", "holds"),
    [
        ("--size 12x10", lambda scene: (scene.canvas.width, scene.canvas.height) == (12, 10)),
        ("--background #ff0000", lambda scene: scene.canvas.background == (1, 0, 0)),
        ("--softness-min 4", lambda scene: scene.softness.min() > 3.9),
    ],
)
def test_options_of_load_hold_for_the_chain(picture, tmp_path, option, holds):
    carried_out(f"load {picture} {option} {SHORT} export {tmp_path}/a.json")
    assert holds(load_scene(tmp_path / "a.json"))


# An option of load, and stages that leave it open.
OPEN = {
    "--max 3": "grow --steps 1",
    "--growth 2": "grow --max 8 --steps 2",
    "--steps 3": "grow --max 4",
    "--preset draft": "grow --max 4",
    "--seeder grid": "seed --count 4",
    "--radius-scale 0.1": "seed --count 4",
    "--relocate-every 2": "seed --count 9 search --steps 6",
    "--relocate-fraction 0.9": "seed --count 9 search --steps 6 --every 2",
    "--rate-colour 0.1": "seed --count 4 refine --steps 2",
}


def test_load_takes_no_option_that_the_chain_ignores(picture, tmp_path):
    ignored = []
    for option, stages in OPEN.items():
        carried_out(f"load {picture} {stages} export {tmp_path}/without.json")
        if run_cli(f"load {picture} {option} {stages} export {tmp_path}/with.json").exit_code == 0:
            if load_scene(tmp_path / "with.json").same_as(load_scene(tmp_path / "without.json")):
                ignored.append(option)
    assert ignored == []


@pytest.mark.parametrize(
    "words",
    ["seed --count 250001", "grow --max 999999", "seed --count 200000 seed --count 200000"],
)
def test_more_circles_than_a_scene_file_holds_are_refused_before_any_work(picture, tmp_path, words):
    line = refusal("load", picture, words, "export", tmp_path / "a.json")
    assert "250000" in line and "--count" in line and not any(tmp_path.iterdir())


def test_export_writes_several_files_as_the_scene_stands_then(picture, tmp_path):
    first, then = [tmp_path / f"first{ending}" for ending in EXPORTERS], tmp_path / "then.json"
    result = carried_out(f"load {picture} {SHORT} export", *first, "settle --steps 3 export", then)
    assert result.stdout.splitlines() == [str(path) for path in (*first, then)]
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (*first, then)}
    scene, settled = load_scene(tmp_path / "first.json"), load_scene(then)
    assert np.array_equal(scene.ids, settled.ids) and not scene.same_as(settled)
    image = np.asarray(Image.open(tmp_path / "first.png"))
    np.testing.assert_allclose(image / 255, reference.render(scene), atol=0.51 / 255)


def test_export_writes_over_what_was_there(picture, tmp_path):
    (tmp_path / "a.png").write_text("old")
    carried_out(f"load {picture} {SHORT} export {tmp_path}/a.png")
    assert Image.open(tmp_path / "a.png").size == (WIDTH, HEIGHT)


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


def test_load_has_help():
    for words in ("load --help", "load -h", "load --help grow", "load a.png --help"):
        assert "Load a picture" in carried_out(words).stdout


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_alone_says_in_one_line_how_it_is_used(name):
    message = refusal(name)
    assert name in message and "artpipe load" in message


def test_load_without_stages_says_in_one_line_which_there_are(picture):
    message = refusal(f"load {picture}")
    assert all(name in message for name in STAGE_COMMANDS)


def test_load_without_a_picture_is_a_usage_error():
    for words in ("load", "load grow", "load --seed 3 grow"):
        result = run_cli(words)
        assert result.exit_code == 2 and "PICTURE" in result.stderr


@pytest.mark.parametrize("file", ["a.xyz", "a", ".png", "a.png.bak"])
def test_an_unknown_ending_is_refused_before_any_work(tmp_path, file):
    message = refusal(f"load {tmp_path}/none.png {SHORT} export {tmp_path}/good.png {SHORT} export {tmp_path}/{file}")
    assert file in message and all(ending in message for ending in EXPORTERS)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_refused_before_any_work(picture, tmp_path):
    assert "none" in refusal(f"load {picture} {SHORT} export {tmp_path}/good.png {tmp_path}/none/a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        "grow --max 0", "grow --nope 3", "grow 5", "grow --growth x", "refine --steps -1", "relocate --fraction 2",
        "search --steps -1", "seed --seeder nope", "seed --count", "settle --floor 3", "export", "nope", "grow nope",
    ],
)  # fmt: skip
def test_a_usage_error_anywhere_in_a_chain_exits_with_two_before_any_work(picture, tmp_path, words):
    result = run_cli(f"load {picture} {SHORT} export {tmp_path}/good.png {words}")
    if words == "nope":  # reads as another file to export
        assert result.exit_code == 1
    else:
        assert result.exit_code == 2
    assert "Error: " in result.stderr and result.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", ["none.png", "--size big {picture}", "--background red {picture}"])
def test_what_load_cannot_use_is_refused_in_one_line(picture, tmp_path, words):
    refusal(f"load {words.format(picture=picture)} {SHORT} export {tmp_path}/a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_ends_a_chain_without_a_traceback(picture, tmp_path):
    command = [sys.executable, "-m", "artpipe", "load", str(picture), *SHORT.split(), "refine", "--steps", "1000000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if re.match(r"\w+: step \d+ of ", line):
                    break
            process.send_signal(2)  # SIGINT
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130 and "Traceback" not in errors
