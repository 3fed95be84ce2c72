"""Styles: tables and files of options, and what overrides them."""

import json

import numpy as np
import pytest
from command_line import refusal, run_cli, succeeded

import artpipe
from artpipe import InputError, load_scene
from artpipe.pipeline.folders.rundir import load_config
from artpipe.pipeline.options import RunConfig
from artpipe.pipeline.styles import STYLES
from artpipe.stages.pictures.picture import save_png

TARGET = np.random.default_rng(0).uniform(0, 1, (6, 8, 3)).repeat(6, 0).repeat(6, 1).astype(np.float32)


@pytest.fixture
def picture(tmp_path):
    save_png(TARGET, tmp_path / "p.png")
    return tmp_path / "p.png"


def style_file(folder, text):
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_a_set_of_options_of_its_own(style):
    config = RunConfig.of_style({"style": style})
    assert config.style == style
    others = [RunConfig.of_style({"style": other}) for other in STYLES if other != style]
    assert config.to_json() not in [{**other.to_json(), "style": style} for other in others]


@pytest.mark.slow
def test_every_style_paints():
    for style in STYLES:
        scene = artpipe.fit(TARGET, 12, style=style, steps=20).scene
        assert scene.count == 12


def test_every_style_has_its_file_in_the_package():
    from importlib.resources import files

    named = {path.name for path in files("artpipe.pipeline.styles").iterdir() if path.name.endswith(".toml")}
    assert named == {f"{style}.toml" for style in STYLES}


def test_options_beside_a_style_override_it(tmp_path, picture):
    mine = style_file(
        tmp_path, 'shape = "stroke"\ncount = 9\nsoftness = "hard"\nrelocate-every = 5\n[rates]\nradius = 1\n'
    )
    words = ("--style", mine, "--steps", 8, "--no-export", "-q")
    succeeded("run", picture, "-o", tmp_path / "a", *words, "--max", 4, "--softness", "1..2")
    config = load_config(tmp_path / "a" / "run.json")
    assert (config.count, config.shape, config.softness, config.relocate_every) == (4, "stroke", "1..2", 5)
    assert config.rates.radius == 1 and config.rates.position == RunConfig().rates.position
    scene = artpipe.fit(TARGET, style=mine, steps=8).scene
    assert scene.count == 9 and {one.name for one in scene.primitives} == {"stroke"}
    assert artpipe.fit(TARGET, 3, style=mine, steps=8).scene.count == 3
    assert RunConfig.of_arguments({"style": "plush", "hard": True}).fit_settings(64, 48).softness_max == 0.5
    assert RunConfig.of_style({"style": "ink", "softness": 2}).softness == "2"


def test_the_options_of_a_run_with_a_style_repeat_it_without_the_style(tmp_path, picture):
    mine = style_file(tmp_path, 'shape = "triangle"\ncount = 5\n')
    succeeded("run", picture, "-o", tmp_path / "a", "--style", mine, "--steps", 9, "--no-export", "-q")
    (tmp_path / "mine.toml").unlink()
    succeeded("run", picture, "-o", tmp_path / "b", "--config", tmp_path / "a" / "run.json", "--no-export", "-q")
    assert load_scene(tmp_path / "a" / "scene.json").same_as(load_scene(tmp_path / "b" / "scene.json"))
    assert json.loads((tmp_path / "b" / "run.json").read_text())["options"]["shape"] == "triangle"


def test_an_invalid_style_is_refused_in_one_line(tmp_path, picture):
    for text, *parts in (
        ('colour = "red"', "'colour'", "rates.colour"), ("palete = 8", "did you mean palette?"),
        ("count = 0", "count is 0"),
        ("shape =", "not a style file", "shape ="), ('style = "ink"', "'style'"), ("[rates]\nhue = 1", "'rates.hue'"),
        ("\xe9 = 1", "not a style file"), ("steps = 1979-05-27", "steps is"),
    ):  # fmt: skip
        message = refusal("run", picture, "-o", tmp_path / "out", "--style", style_file(tmp_path, text))
        assert all(part in message for part in parts), message
    for style, word in (("inc", "did you mean ink?"), ("none.toml", "none.toml"), (3, "mine.toml"), ("", "mine.toml")):
        with pytest.raises(InputError, match=word.replace("?", r"\?")):
            artpipe.fit(TARGET, style=style)
    assert not (tmp_path / "out").exists()


def test_an_unknown_option_is_met_with_the_one_that_is_meant():
    for word, meant in (
        ("--colors", "--palette"),
        ("--circles", "--max"),
        ("--alpha", "--opacity"),
        ("--blur", "--softness"),
    ):
        error = run_cli("run", "a.png", word, "3").stderr
        assert word in error and f"Did you mean '{meant}'?" in error
