"""What a scene or a run folder that is well formed, but meant to do harm, can do where it is exported: nothing."""

import html.parser
import io
import json
import os
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from command_line import refusal, succeeded
from PIL import Image

from artpipe import Canvas, Scene, save_scene
from artpipe.renderers.canvas import SIDE_MAX
from artpipe.stages.exporters.table import EXPORTERS
from artpipe.stages.pictures.picture import save_png

MARKUP = '</title></desc></script><script>alert(1)</script><img src=x onerror="alert(2)">&amp;{{about}}]]>'


def scene_of(width, height):
    return Scene.circles(
        Canvas(width, height, (0.25, 0.5, 1)), x=[20, 5], y=[15, 8], radius=[9, 4], colour=[(1, 0.5, 0), (0, 0.5, 1)],
        opacity=[0.75, 1], softness=1.0,
    )  # fmt: skip


@pytest.fixture
def run_folder(tmp_path):
    """`picture -> folder`: the least that is a run folder, of a picture of that name."""

    def made(picture):
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        save_scene(scene_of(40, 30), folder / "scene.json")
        (folder / "run.json").write_text(json.dumps({"picture": picture}))
        return folder

    return made


class _Tags(html.parser.HTMLParser):
    """All tags and their attributes' names, as a browser finds them."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, *(name for name, _ in attributes)))


def tags_of(text):
    tags = _Tags()
    tags.feed(text)
    return tags.found


@pytest.mark.parametrize("options", [[], ["--flat"], ["--layers", 2], ["--animated"]], ids=str)
def test_markup_in_the_name_of_a_run_s_picture_stays_text_in_svg(run_folder, tmp_path, options):
    trees = []
    for picture in (f"a/{MARKUP.replace('/', '∕')}.jpg", "a/plain.jpg"):
        succeeded("export", run_folder(picture), tmp_path / "a.svg", *options)
        trees.append(ElementTree.fromstring((tmp_path / "a.svg").read_text()))
    hostile, plain = ([element.tag for element in tree.iter()] for tree in trees)
    assert hostile == plain
    assert "<script>alert(1)<∕script>" in trees[0].find("{*}title").text.lower()


def test_markup_in_the_name_of_a_run_s_picture_stays_text_in_the_viewer(run_folder, tmp_path):
    found = []
    for picture in (f"a/{MARKUP}.jpg", f"a/{MARKUP.replace('/', '')}.jpg", "a/plain.jpg"):
        succeeded("export", run_folder(picture), tmp_path / "a.html")
        found.append(tags_of((tmp_path / "a.html").read_text()))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    "picture",
    [None, 7, [], {}, "", "\ud800", "\0", "..", "/", "a/../../x", "x" * 100_000],
    ids=lambda value: ascii(value)[:12],
)
def test_a_run_s_picture_of_any_kind_gives_a_name_or_none(run_folder, tmp_path, picture):
    succeeded("export", run_folder(picture), tmp_path / "a.svg", tmp_path / "a.html")
    ElementTree.fromstring((tmp_path / "a.svg").read_text())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.svg", "run"]


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
@pytest.mark.parametrize("ending", EXPORTERS)
def test_a_link_in_a_run_folder_is_replaced_and_not_written_through(run_folder, tmp_path, ending):
    if ending == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    folder, other = run_folder("a.jpg"), tmp_path / "precious"
    other.write_text("as it was")
    (folder / f"a{ending}").symlink_to(other)
    succeeded(
        "export", folder, folder / f"a{ending}", *(("--seconds", 0.5) if "seconds" in EXPORTERS[ending].options else ())
    )
    assert other.read_text() == "as it was"
    assert not (folder / f"a{ending}").is_symlink() and (folder / f"a{ending}").stat().st_size > 0


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_link_is_replaced_by_what_is_rendered(run_folder, tmp_path):
    (tmp_path / "precious").write_text("as it was")
    (tmp_path / "a.png").symlink_to(tmp_path / "precious")
    succeeded("render", run_folder("a.jpg") / "scene.json", "-o", tmp_path / "a.png")
    assert (tmp_path / "precious").read_text() == "as it was" and Image.open(tmp_path / "a.png").size == (40, 30)


@pytest.mark.parametrize("side", [8000, 20_000, SIDE_MAX])
def test_a_target_that_is_not_of_the_canvas_is_refused_before_it_is_unpacked(run_folder, tmp_path, side):
    folder = run_folder("a.jpg")
    picture = io.BytesIO()
    Image.new("1", (side, 1)).save(picture, "PNG")
    data = bytearray(picture.getvalue())
    data[20:24] = side.to_bytes(4, "big")  # the height, of which the rest of the file knows nothing
    (folder / "target.png").write_bytes(data)
    assert "target.png" in refusal("export", folder, tmp_path / "a.html")


def test_a_target_of_a_huge_canvas_is_refused(run_folder, tmp_path):
    folder = run_folder("a.jpg")
    save_scene(scene_of(SIDE_MAX, SIDE_MAX), folder / "scene.json")
    save_png(np.zeros((1, SIDE_MAX, 3), np.float32), folder / "target.png")
    data = bytearray((folder / "target.png").read_bytes())
    data[20:24] = SIDE_MAX.to_bytes(4, "big")
    (folder / "target.png").write_bytes(data)
    assert "target.png" in refusal("export", folder, tmp_path / "a.html")


@pytest.mark.parametrize("ending", [".gif", ".webp", ".apng", ".mp4"])
def test_films_of_a_huge_canvas_are_refused_with_their_size(tmp_path, ending):
    if ending == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    save_scene(scene_of(SIDE_MAX, SIDE_MAX), tmp_path / "a.json")
    message = refusal("export", tmp_path / "a.json", tmp_path / f"a{ending}", "--width", SIDE_MAX)
    assert f"{SIDE_MAX} x {SIDE_MAX}" in message
    assert not (tmp_path / f"a{ending}").exists()


@pytest.mark.parametrize("sides", [(SIDE_MAX, 1), (1, SIDE_MAX)], ids=str)
@pytest.mark.parametrize("ending", [".gif", ".webp", ".mp4"])
def test_films_whose_sides_the_format_cannot_count_are_refused(tmp_path, ending, sides):
    if ending == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    save_scene(scene_of(*sides), tmp_path / "a.json")
    message = refusal("export", tmp_path / "a.json", tmp_path / f"a{ending}", "--seconds", 0.2, "--width", sides[0])
    assert f"{sides[0]} x {sides[1]}" in message and not (tmp_path / f"a{ending}").exists()


@pytest.mark.parametrize("options", [[], ["--flat"], ["--animated"]], ids=str)
def test_vectors_of_a_huge_canvas_are_written(tmp_path, options):
    save_scene(scene_of(SIDE_MAX, SIDE_MAX), tmp_path / "a.json")
    succeeded("export", tmp_path / "a.json", tmp_path / "a.svg", *options)
    assert ElementTree.fromstring((tmp_path / "a.svg").read_text()).get("width") == str(SIDE_MAX)
    assert (tmp_path / "a.svg").stat().st_size < 10_000


@pytest.mark.slow
def test_layers_of_a_huge_canvas_hold_its_circles_as_they_are(tmp_path):
    """They are judged on a smaller picture."""
    scene = scene_of(SIDE_MAX, SIDE_MAX // 2)
    wide = {name: scene.column(name) * scale for name, scale in (("x", 1500), ("y", 2000), ("radius", 2000))}
    save_scene(scene.with_columns(softness=500.0, **wide), tmp_path / "a.json")
    succeeded("export", tmp_path / "a.json", tmp_path / "a.svg", "--layers", 2)
    circles = ElementTree.fromstring((tmp_path / "a.svg").read_text()).findall(".//{*}circle")
    assert sorted((float(circle.get("cx")), float(circle.get("cy"))) for circle in circles) == [
        (7500, 16000),
        (30000, 30000),
    ]


def test_the_check_of_a_huge_vector_is_refused_with_its_size(tmp_path):
    pytest.importorskip("resvg")
    save_scene(scene_of(SIDE_MAX, SIDE_MAX), tmp_path / "a.json")
    assert f"{SIDE_MAX} x {SIDE_MAX}" in refusal("export", tmp_path / "a.json", tmp_path / "a.svg", "--check")
