"""Few colours: every row of a result has exactly a colour of the palette."""

import numpy as np
import pytest
from command_line import refusal, run_cli, succeeded

import artpipe
from artpipe import InputError, load_scene
from artpipe.pipeline.folders import checkpoints
from artpipe.pipeline.folders.rundir import load_config
from artpipe.pipeline.options import RunConfig
from artpipe.renderers.primitives.table import PRIMITIVES
from artpipe.renderers.registry import FITTING_RENDERERS
from artpipe.stages.palette import clusters, nearest
from artpipe.stages.pictures.palettes import parse_palette, resolved_palette
from artpipe.stages.pictures.picture import save_png

ACROSS, DOWN = np.meshgrid(np.linspace(0, 1, 48), np.linspace(0, 1, 36))
TARGET = np.stack([ACROSS, DOWN, 0.5 + 0.4 * np.sin(9 * ACROSS * DOWN)], axis=2).astype(np.float32)
SMALL = {"count": 40, "steps": 90, "growth": 16, "relocate_every": 10}


def colours_of(scene):
    """The different colours of rows and background, in steps of 1/255."""
    every = np.concatenate([scene.colour, np.float32([scene.canvas.background])])
    levels = every.astype(float) * 255
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    return {tuple(row) for row in np.round(levels).astype(int).tolist()}


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
@pytest.mark.parametrize("shape", PRIMITIVES)
def test_every_row_and_the_background_have_a_colour_of_the_palette(shape, renderer):
    options = {**SMALL, "shape": shape, "renderer": renderer}
    result = artpipe.fit(TARGET, palette=4, **options)
    assert result.scene.count == 40 and len(colours_of(result.scene)) <= 4
    assert result.metrics.colours == len(np.unique(result.scene.colour, axis=0))
    given = artpipe.fit(TARGET, palette="#0b132b,gold,white", **options).scene
    assert colours_of(given) <= {(11, 19, 43), (255, 215, 0), (255, 255, 255)}


@pytest.mark.parametrize(
    "options", [{"seconds": 0.2, "steps": None}, {"target_psnr": 12}, {"patience": 3}, {"steps": 0}, {"loss": "ssim"}]
)
def test_stop_rules_and_losses_keep_the_palette(options):
    assert len(colours_of(artpipe.fit(TARGET, palette=3, **{**SMALL, **options}).scene)) <= 3


def test_fitting_with_a_palette_beats_quantising_afterwards_by_far():
    options = {"count": 120, "steps": 200}
    free = artpipe.fit(TARGET, **options)
    few = artpipe.fit(TARGET, palette=8, **options)
    colours = clusters(free.scene.colour, np.ones(free.scene.count), 8)
    rough = artpipe.render(free.scene.with_columns(colour=colours[nearest(free.scene.colour, colours)]))
    assert few.metrics.mse < 0.4 * np.mean((rough - TARGET) ** 2)


def test_a_given_background_is_kept_beside_the_palette():
    scene = artpipe.fit(TARGET, palette=2, background="#f06", **SMALL).scene
    assert scene.canvas.background == pytest.approx((1, 0, 0.4))
    assert len(np.unique(scene.colour, axis=0)) <= 2


def test_transparent_pictures_have_palettes_too():
    target = np.dstack([TARGET, (ACROSS > 0.4).astype(np.float32)])
    assert len(np.unique(artpipe.fit(target, palette=3, **SMALL).scene.colour, axis=0)) <= 3


@pytest.mark.parametrize("palette", ["5", "#0b132b,gold,white"])
def test_a_resumed_run_with_a_palette_repeats(palette, tmp_path, monkeypatch):
    picture = tmp_path / "p.png"
    words = ("--max", 12, "--steps", 60, "--palette", palette, "--relocate-every", 10, "--no-export", "-q")
    words += ("--checkpoint-every", 0)
    save_png(TARGET, picture)
    whole = succeeded("run", picture, "-o", tmp_path / "whole", *(word for word in words if word != "-q"))
    assert "colours" in whole.stdout
    kept = checkpoints.Keeper.save

    def stop_at_35(self, run, plan):
        kept(self, run, plan)
        if run.step >= 35:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Keeper, "save", stop_at_35)
    run_cli("run", picture, "-o", tmp_path / "cut", *words)
    monkeypatch.undo()
    succeeded("resume", tmp_path / "cut", "-q", "--no-export")
    for name in ("scene.json", "snapshots.npz"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_chain_of_stages_takes_a_palette(tmp_path):
    save_png(TARGET, tmp_path / "p.png")
    stages = ("grow", "--max", 12, "--steps", 12, "search", "--steps", 12, "--every", 6, "export", tmp_path / "a.json")
    succeeded("load", tmp_path / "p.png", "--palette", "red,blue", *stages)
    assert colours_of(load_scene(tmp_path / "a.json")) <= {(255, 0, 0), (0, 0, 255)}


def test_palettes_of_files_become_colours_in_the_options_of_the_run(tmp_path):
    save_png(TARGET, tmp_path / "p.png")
    gpl = tmp_path / "night.gpl"
    gpl.write_text("GIMP Palette\nName: night\n#\n 11  19  43 deep\n244 211  94\tsand\n11 19 43\n", encoding="utf-8")
    assert resolved_palette(str(gpl)) == "#0b132b,#f4d35e"
    succeeded("run", tmp_path / "p.png", "-o", tmp_path / "out", "--palette", gpl, "--max", 4, "--steps", 3, "-q")
    assert load_config(tmp_path / "out" / "run.json").palette == "#0b132b,#f4d35e"
    two = np.zeros((20, 30, 3), np.float32)
    two[:, 10:] = (1, 0.8, 0)
    save_png(two, tmp_path / "two.png")
    assert resolved_palette(f"like:{tmp_path / 'two.png'}") == "#000000,#ffcc00"
    assert resolved_palette(f"like:1:{tmp_path / 'p.png'}").count("#") == 1
    assert resolved_palette("8") == "8" and parse_palette("8").count == 8
    assert parse_palette("gold,gold").count == 1


def test_an_invalid_palette_is_refused_in_one_line(tmp_path):
    for palette, word in (
        (0, "1 to 256"), ("257", "1 to 256"), ("-3", "1 to 256"), ("", "a number of colours"), (True, "a number"),
        ("night", "CSS colour name"), ("indygo,red", "did you mean indigo?"), ("#12345", "#rrggbb"),
        ("like:", "number"),
        ("red,,blue", "''"), (3.5, "a number"), ("palette.txt", "GIMP"), ("like:999:a.png", "1 to 256"),
        (",".join(["red"] * 257), "257"),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            RunConfig(palette=palette)
        assert word in str(caught.value) and "\n" not in str(caught.value), palette
    save_png(TARGET, tmp_path / "p.png")
    (tmp_path / "bad.gpl").write_text("red\n", encoding="utf-8")
    (tmp_path / "none.gpl").write_text("GIMP Palette\n300 0 0\n", encoding="utf-8")
    for file, word in (
        ("bad.gpl", "GIMP"),
        ("none.gpl", "0 colours"),
        ("missing.gpl", "missing"),
        ("like:no.png", "no.png"),
    ):
        path = file if file.startswith("like:") else tmp_path / file
        assert word in refusal("run", tmp_path / "p.png", "-o", tmp_path / "out", "--palette", path)
    assert not (tmp_path / "out").exists()
