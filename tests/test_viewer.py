"""viewer.html: the file, and its behaviour in a browser."""

import base64
import html
import io
import json
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
from chromium import chromium
from PIL import Image
from shapes import KIND_IDS, KINDS, MIXED, NAMES, crowd

import artpipe
from artpipe import Canvas, InputError, Scene
from artpipe.renderers.alpha import picture_error, picture_of
from artpipe.renderers.primitives.base import SHAPE
from artpipe.renderers.primitives.table import PRIMITIVES
from artpipe.renderers.row_layout import columns_of
from artpipe.stages.events import Snapshot
from artpipe.stages.exporters.options import ExportOptions
from artpipe.stages.exporters.viewer import export_viewer
from artpipe.stages.history import History, LossPoint
from artpipe.stages.result import Result


def painted(rng, primitive, count, width=96, height=64, edge="linear", radius=(1.0, 12.0), softness=(0.15, 4.0)):
    return crowd(rng, count, width, height, edge, primitive, radius=radius, softness=softness)


@pytest.fixture
def result(rng):
    """A painting of 60 circles that grew over 120 steps."""
    return grown(painted(rng, "circle", 60), rng)


def grown(scene, rng, count=8):
    """A result whose snapshots hold ever more of the scene's shapes, ever nearer to their final place."""
    snapshots = []
    for k in range(count):
        part = scene.select(np.arange(max(1, scene.count * (k + 1) // count)))
        rows = part.rows.copy()
        for primitive, index, _ in part.parts():
            for place, column in enumerate(primitive.columns, SHAPE):
                spread = {"x": 1.0, "y": 1.0, "log length": 0.1, "share": 0.1}.get(column.unit, 0.0)
                rows[index, place] += rng.normal(0, spread * (1 - k / count), len(index))
        snapshots.append(Snapshot(15 * k, part.with_rows(rows)))
    curve = [LossPoint(5 * k, 60, 0.1 * k, 0.1 / (1 + k)) for k in range(1, 3 * count + 1)]
    return Result(scene, History(curve, snapshots), artpipe.render(scene), "the_small_painting")


def written(folder, result, title=None):
    path = folder / "viewer.html"
    export_viewer(result, path, ExportOptions(title=title))
    return path


@pytest.fixture
def text_of(tmp_path):
    """`(result, title=None) -> text` of the file."""
    return lambda result, title=None: written(tmp_path, result, title).read_text(encoding="utf-8")


def about(text):
    return json.loads(re.search(r'<script type="application/json" id="about">(.*?)</script>', text, re.S)[1])


def unpacked(text):
    """Kinds and dictionaries of columns, row by row, of all key frames, read as the format says."""
    facts = about(text)
    packed = base64.b64decode(re.search(r'<script type="text/plain" id="rows">(.*?)</script>', text, re.S)[1])
    data = np.frombuffer(zlib.decompress(packed, wbits=-15), np.uint8)
    frames, kinds_before, before, at = [], None, None, 0

    def plane(count):
        nonlocal at
        zigzag = np.ascontiguousarray(data[at : at + 4 * count].reshape(4, count).T).view("<u4")[:, 0].astype(np.int64)
        at += 4 * count
        return (zigzag >> 1) ^ -(zigzag & 1)

    for k, (_, count) in enumerate(facts["keys"]):
        origins, following = np.full(count, -1), 0
        for row, link in enumerate(plane(count)):
            if link:
                origins[row] = following + (link - 1 if link > 0 else link)
                following = origins[row] + 1
        kinds = plane(count)
        if (origins >= 0).any():
            kinds[origins >= 0] = kinds_before[origins[origins >= 0]]
        rows, numbers = [{} for _ in range(count)], [{} for _ in range(count)]
        groups = [(np.arange(count), facts["paint"])]
        groups += [(np.flatnonzero(kinds == kind), columns) for kind, (_, columns, _) in enumerate(facts["primitives"])]
        for index, columns in groups:
            for name, per_unit, is_log, coarse in columns:
                dropped = coarse if k < len(facts["keys"]) - 1 else 0
                for row, whole in zip(index, plane(len(index)), strict=True):
                    if origins[row] >= 0:
                        whole += before[origins[row]][name] >> dropped
                    numbers[row][name] = whole << dropped
                    value = (whole << dropped) / per_unit
                    rows[row][name] = 2**value if is_log else value
        frames.append(([facts["primitives"][kind][0] for kind in kinds], rows))
        kinds_before, before = kinds, numbers
    assert at == len(data)
    return frames


def assert_close(frame, scene, tolerances):
    """A key frame's rows are the scene's, within `(relative, absolute)` by a column's name or its unit."""
    kinds, rows = frame
    assert kinds == [next(p.name for p in PRIMITIVES.values() if p.code == code) for code in scene.kinds]
    for name, row, got in zip(kinds, scene.rows, rows, strict=True):
        columns = columns_of(PRIMITIVES[name])
        assert list(got) == [column.name for column in columns]
        for column, want in zip(columns, row, strict=False):
            relative, absolute = tolerances.get(column.name) or tolerances[column.unit]
            assert got[column.name] == pytest.approx(want, rel=relative, abs=absolute), column.name


# ---------------------------------------------------------------- the file


def test_the_file_stands_alone_and_is_the_same_each_time(text_of, result):
    text = text_of(result)
    assert set(re.findall(r"https?://[^\s\"')]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert all(link.startswith("data:") for link in re.findall(r"(?:src|href)\s*=\s*[\"']([^\"']*)", text))
    assert all(link.startswith("data:") for link in re.findall(r"url\(\s*[\"']?([^\"')]*)", text))
    assert not re.search(r"@import|\bfetch\(|XMLHttpRequest|WebSocket|importScripts|\{\{", text)
    assert "default-src 'none'" in text
    assert "<title>The Small Painting</title>" in text
    assert text_of(result) == text


@pytest.mark.parametrize(
    "title",
    ["</script><script>alert(1)</script></title>", "<!--<script>", "{{rows}} {{about}} {{page.css}} \\1 \\g<0>", "",
     "quotes \" and ' and & and &amp; lines\u2028and\u2029ends broken \udcff name 絵画 🎨\n"],
)  # fmt: skip
def test_titles_cannot_break_out(text_of, result, title):
    plain, text = text_of(result, "x"), text_of(result, title)
    shown = title.encode(errors="replace").decode().strip()
    assert about(text)["title"] == shown
    assert html.unescape(re.search(r"<title>(.*?)</title>", text, re.S)[1]) == shown
    assert text.count("<script") == plain.count("<script") and text.count("<!--") == plain.count("<!--")
    assert unpacked(text) == unpacked(plain)


COLOUR, COARSE_COLOUR = (0, 0.5 / 255 + 1e-6), (0, 2.5 / 255 + 1e-6)
EXACT = {
    "x": (0, 0.002), "y": (0, 0.002), "length": (1e-4, 1e-3), "log length": (0, 1e-4), "share": (0, 1e-4),
    "red": COLOUR, "green": COLOUR, "blue": COLOUR, "opacity": (0, 0.5 / 4095 + 1e-6),
}  # fmt: skip
IN_PASSING = {
    "x": (0, 0.065), "y": (0, 0.065), "length": (0.012, 1e-3), "log length": (0, 0.016), "share": (0, 0.016),
    "red": COARSE_COLOUR, "green": COARSE_COLOUR, "blue": COARSE_COLOUR, "opacity": COARSE_COLOUR,
    "softness": (0.05, 1e-3),
}  # fmt: skip


@pytest.mark.parametrize("primitive", NAMES)
def test_key_frames_are_the_scenes(text_of, rng, primitive):
    result = grown(painted(rng, primitive, 60), rng)
    text = text_of(result)
    keys, frames = about(text)["keys"], unpacked(text)
    assert keys[0] == [0, 0] and keys[-1] == [120, 60]
    assert keys == sorted(keys)
    assert_close(frames[-1], result.scene, EXACT)
    snapshots = {snapshot.step: snapshot.scene for snapshot in result.history.snapshots}
    seen = 0
    for (step, count), frame in zip(keys[:-1], frames, strict=False):
        if step > 0 and step in snapshots and snapshots[step].count == count:
            seen += 1
            assert_close(frame, snapshots[step], IN_PASSING)
    assert seen == len(result.history.snapshots) - 1


@pytest.mark.parametrize("name", PRIMITIVES)
def test_the_farthest_and_smallest_numbers_come_back(text_of, name):
    columns = columns_of(PRIMITIVES[name])
    low, high = np.array([[column.low, column.high] for column in columns], np.float32).T
    rows = np.array([np.nextafter(low, high), high])  # rounded, a limit may lie outside itself
    scene = Scene(rows, Canvas(8, 8), kinds=name)
    moved = Scene(rows[::-1], Canvas(8, 8), kinds=name)  # the same ids, as far away as can be
    text = text_of(Result(scene, History(snapshots=[Snapshot(1, moved)])))
    assert_close(unpacked(text)[-1], scene, EXACT)


def test_rows_that_change_their_place_or_their_shape_come_back(text_of, rng):
    mix = painted(rng, MIXED, 40)
    shuffled = mix.select(rng.permutation(40)[:30]).append(mix.rows[:5], mix.kinds[:5])
    for before, after in ((mix, shuffled), (painted(rng, "triangle", 9), painted(rng, "stroke", 9))):
        text = text_of(Result(after, History(snapshots=[Snapshot(3, before)])))
        assert_close(unpacked(text)[-1], after, EXACT)


def test_a_scene_alone_is_enough_even_an_empty_one(text_of, result):
    facts = about(text_of(Result(result.scene)))
    assert facts["keys"] == [[0, 60]]
    assert facts["history"] == [] and facts["original"] is None and facts["psnr"] is None
    empty = Scene.empty(Canvas(5, 4))
    assert unpacked(text_of(Result(empty))) == [([], [])]
    assert unpacked(text_of(Result(empty, History(snapshots=[Snapshot(2, empty)]))))


def test_the_curve_leaves_out_infinite_decibels_and_is_thinned(text_of, result):
    for curve, expected in (
        ([LossPoint(k, 1, 0.0, mse) for k, mse in enumerate((0.0, np.nan, np.inf, 0.01, 1e-6))], [[3, 20], [4, 60]]),
        ([LossPoint(k, 1, 0.0, 0.1) for k in range(5000)], None),
    ):
        rows = about(text_of(Result(result.scene, History(curve))))["history"]
        assert rows == expected or (len(rows) == 400 and rows[0][0] == 0 and rows[-1][0] == 4999)


def test_files_stay_small(tmp_path, rng):
    """Shapes here lie anywhere, which packs worse than any painting."""
    path = written(tmp_path, grown(painted(rng, MIXED, 2048, 192, 128, radius=(0.5, 6.0)), rng, count=50))
    assert 13 <= len(about(path.read_text(encoding="utf-8"))["keys"]) <= 32
    assert path.stat().st_size < 800_000


def test_a_missing_folder_is_named(tmp_path, result):
    with pytest.raises(InputError, match="cannot write"):
        export_viewer(result, tmp_path / "nowhere" / "viewer.html", ExportOptions())


@pytest.fixture
def bare(rng):
    """A result on a transparent canvas that meets its target but for one shape."""
    scene = painted(rng, MIXED, 14, radius=(4.0, 14.0), softness=(0.5, 4.0))
    scene = replace(scene, canvas=replace(scene.canvas, transparent=True))
    return replace(grown(scene, rng), target=picture_of(scene.select(np.arange(13))))


def test_the_original_of_a_transparent_scene_keeps_its_alpha(bare, text_of):
    facts = about(text_of(bare))
    assert facts["transparent"] is True
    original = Image.open(io.BytesIO(base64.b64decode(facts["original"].partition(",")[2]))).convert("RGBA")
    np.testing.assert_allclose(np.asarray(original)[:, :, 3], bare.target[:, :, 3] * 255, atol=1)
    assert facts["psnr"] == pytest.approx(artpipe.psnr(picture_error(bare.scene, bare.target)), abs=0.01)


# ---------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def show(browser, tmp_path):
    """`(result, **context options) -> page` at rest; fails if anything goes wrong or out to the network."""
    pages, problems, requests = [], [], []

    def show(result, title=None, **options):
        page = browser.new_context(**({"viewport": {"width": 1000, "height": 700}} | options)).new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(written(tmp_path, result, title).as_uri())
        pages.append(page)
        at_rest(page)
        return page

    yield show
    for page in pages:
        page.context.close()
    assert problems == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []


def at_rest(page):
    page.wait_for_selector("canvas[data-drawn='exact']", state="attached")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)
    at_rest(page)


def readout(page):
    return page.locator("#readout").inner_text()


def frame_of(page):
    return page.locator(".frame").first.bounding_box()


def picture(page):
    """The visible painting, (H, W, 3) in 0..1, one value per CSS pixel."""
    seen = Image.open(io.BytesIO(page.screenshot(clip=frame_of(page), scale="css"))).convert("RGB")
    return np.asarray(seen, np.float64) / 255


def decibels(got, want):
    height, width = min(got.shape[0], want.shape[0]), min(got.shape[1], want.shape[1])
    return artpipe.psnr(float(np.mean((got[:height, :width] - want[:height, :width]) ** 2)))


@pytest.mark.slow
@pytest.mark.parametrize(("primitive", "edge"), KINDS, ids=KIND_IDS)
def test_the_canvas_shows_what_our_own_renderer_draws_and_outlines(show, rng, primitive, edge):
    scene = painted(rng, primitive, 300, edge=edge)
    page = show(Result(scene))
    got = picture(page)
    want = artpipe.render(scene.scaled(got.shape[1]))
    assert got.shape[1] > 400 and abs(got.shape[0] - want.shape[0]) <= 1
    assert decibels(got, want) >= 50
    press(page, "o")
    assert np.abs(picture(page) - got).mean() > 0.02
    press(page, "o")
    assert decibels(picture(page), got) > 50


@pytest.mark.slow
def test_extreme_shapes_are_drawn_as_our_renderer_does(show, rng):
    scene = painted(rng, MIXED, 60)
    rows = scene.rows.copy()
    for primitive, index, _ in scene.parts():
        for k, column in enumerate(primitive.columns, SHAPE):
            is_place = column.unit in ("x", "y")
            rows[index[0], k] = 40 if is_place else 0  # no length, no area
            if is_place:
                rows[index[1], k] *= 1000  # huge, or far off
    sharp = painted(rng, MIXED, 200, 320, 200, softness=(0.01, 0.02))
    for extreme, least in ((scene.with_rows(rows), 45), (sharp, 40)):
        got = picture(show(Result(extreme)))
        assert decibels(got, artpipe.render(extreme.scaled(got.shape[1]))) >= least


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_it_is_chosen_and_squares_show_through(show, bare, scheme):
    page = show(bare, color_scheme=scheme)
    got = picture(page)
    own = picture_of(bare.scene.scaled(got.shape[1]))[: got.shape[0]]
    got = got[: own.shape[0]]
    press(page, "Home")
    squares = picture(page)[: own.shape[0]]
    shades = np.unique((squares * 255).round().astype(int).reshape(-1, 3), axis=0)
    assert len(shades) >= 2 and np.ptp(shades.mean(axis=1)) < 30 and (shades.mean() > 128) == (scheme == "light")
    want = own[:, :, 3:] * own[:, :, :3] + (1 - own[:, :, 3:]) * squares
    assert decibels(got, want) >= 38

    def wall_is_dark():
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) < 3 * 128

    assert wall_is_dark() == (scheme == "dark")
    page.get_by_role("button", name="Light or dark").click()
    assert wall_is_dark() != (scheme == "dark")
    page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
    page.emulate_media(color_scheme=scheme)
    assert wall_is_dark() != (scheme == "dark")


@pytest.mark.slow
def test_under_the_wipe_no_shape_shows_through_the_original(show, bare):
    page = show(replace(bare, target=np.zeros_like(bare.target)))
    for _ in range(100):  # until the original is decoded there is nothing to wipe to
        page.keyboard.press("w")
        if page.locator("#wipe").get_attribute("aria-pressed") == "true":
            break
        page.wait_for_timeout(100)
    page.locator("#divider").press("Home")
    at_rest(page)
    wiped = picture(page)
    page.locator("#wipe").click()
    page.locator("#slider").press("Home")
    page.locator("#readout", has_text=" 0 shapes").wait_for()
    page.wait_for_timeout(500)  # until that is drawn
    at_rest(page)
    edge = 40  # the handle and the signs
    np.testing.assert_allclose(wiped[edge:-edge, edge:], picture(page)[edge:-edge, edge:], atol=0.01)


@pytest.mark.slow
def test_the_slider_steps_by_keyboard_mouse_and_curve(show, result):
    page = show(result)
    slider = page.locator("#slider")
    assert "step 120" in readout(page) and "60 circles" in readout(page)
    end = picture(page)
    press(page, "Home")
    assert "0 circles" in readout(page)
    blank = picture(page)
    np.testing.assert_allclose(blank, np.broadcast_to(result.scene.canvas.background, blank.shape), atol=0.003)
    press(page, "ArrowRight")
    assert slider.input_value() == "1"
    press(page, "End", "ArrowLeft")
    assert "step 105" in readout(page) and "step 105" in slider.get_attribute("aria-valuetext")
    before = picture(page)
    assert decibels(before, artpipe.render(result.history.snapshots[-1].scene.scaled(before.shape[1]))) > 33

    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 10, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, middle, steps=5)
    page.mouse.up()
    at_rest(page)
    assert 0 < float(slider.input_value()) < float(slider.get_attribute("max"))
    assert float(slider.input_value()).is_integer()
    half = picture(page)
    assert np.abs(half - end).mean() > 0.01 and np.abs(half - blank).mean() > 0.01

    box = page.locator("#curve").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + 30)
    at_rest(page)
    assert "step 60" in readout(page)
    assert float(page.locator("#dot").get_attribute("cx")) == pytest.approx(box["width"] * 0.5, abs=20)


@pytest.mark.slow
def test_play_starts_from_the_blank_canvas_and_pauses(show, result):
    page = show(result)
    slider = page.locator("#slider")
    assert slider.input_value() == slider.get_attribute("max")  # at rest on load
    page.keyboard.press(" ")
    pause = page.get_by_role("button", name="Pause")
    pause.wait_for()
    assert float(slider.input_value()) < float(slider.get_attribute("max"))
    pause.click()
    page.get_by_role("button", name="Play the growth").wait_for()
    at_rest(page)
    stopped = readout(page)
    page.wait_for_timeout(100)
    assert readout(page) == stopped


@pytest.mark.slow
def test_the_original_is_shown_beyond_the_wipe_or_side_by_side(show, result, rng):
    other = artpipe.render(painted(rng, "circle", 30))
    page = show(Result(result.scene, result.history, other))
    circles = picture(page)
    press(page, "w")
    handle = page.get_by_role("slider", name="Wipe")
    box = handle.bounding_box()
    page.mouse.move(box["x"] + 22, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 122, box["y"] + 50, steps=4)
    page.mouse.up()
    assert int(handle.get_attribute("aria-valuenow")) > 55
    handle.focus()
    page.keyboard.press("Home")  # all of the original, below the handle and its two signs
    height, width = circles.shape[:2]
    image = Image.fromarray(np.rint(other * 255).astype(np.uint8)).resize((width, height), Image.Resampling.BILINEAR)
    lower = (slice(height * 3 // 4, height - 8), slice(40, width - 8))
    assert decibels(picture(page)[lower], np.asarray(image, np.float64)[lower] / 255) > 28
    page.keyboard.press("End")
    assert decibels(picture(page)[lower][:, :-40], circles[lower][:, :-40]) > 50
    press(page, "w")
    assert handle.is_hidden() and decibels(picture(page), circles) > 50

    page.get_by_role("button", name="Original side by side").click()
    at_rest(page)
    assert page.locator(".frame:visible").count() == 2
    first, second = (page.locator(".frame").nth(k).bounding_box() for k in range(2))
    assert (first["width"], first["height"]) == (second["width"], second["height"])
    assert second["x"] >= first["x"] + first["width"] or second["y"] >= first["y"] + first["height"]
    press(page, "s")
    assert page.locator(".frame:visible").count() == 1


def tip_at(page, x, y, width, height):
    """The numbers shown at a point of the canvas; None without any."""
    box, tip = frame_of(page), page.locator("#tip")
    page.mouse.move(box["x"] + x / width * box["width"], box["y"] + y / height * box["height"])
    return " ".join(tip.inner_text().split()) if tip.is_visible() else None


@pytest.mark.slow
def test_pointing_selects_the_topmost_circle(show):
    scene = Scene.circles(
        Canvas(90, 60), x=[45, 45, 20], y=[30, 30, 30], radius=[25, 12.25, 6], opacity=[1, 0.5, 1], colour=np.eye(3)
    )
    page = show(Result(scene))
    assert tip_at(page, 62, 30, 90, 60).startswith("Circle 1 of 3")
    assert tip_at(page, 45, 30, 90, 60).startswith("Circle 2 of 3")
    assert tip_at(page, 21, 31, 90, 60).startswith("Circle 3 of 3")
    assert tip_at(page, 3, 3, 90, 60) is None
    page.keyboard.press(".")
    assert "Circle 1 of 3" in page.locator("#news").inner_text()


SPOKEN = {
    "circle": (Scene.circles, {"x": [30], "y": [20], "radius": [6]}, "x 30.00 y 20.00 radius 6.00"),
    "ellipse": (
        Scene.ellipses, {"x": [30], "y": [20], "radius_x": [12], "radius_y": [5], "angle": [30]},
        "x 30.00 y 20.00 semi-axes 12.00, 5.00 angle 30.0°",
    ),
    "stroke": (
        Scene.strokes, {"x0": [10], "y0": [20], "x1": [50], "y1": [20], "width": [8]},
        "from 10.00, 20.00 to 50.00, 20.00 width 8.00",
    ),
    "triangle": (
        Scene.triangles, {"corners": [[[30, 8], [50, 28], [10, 24]]]},
        "corner 1 30.00, 8.00 corner 2 50.00, 28.00 corner 3 10.00, 24.00",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", PRIMITIVES)
def test_every_shape_shows_its_numbers_and_its_outline(show, name):
    make, columns, words = SPOKEN[name]
    scene = make(Canvas(60, 40), **columns, colour=[[1, 0, 0]], opacity=0.5, softness=1.0)
    page = show(Result(scene))
    shown = f"{name.capitalize()} 1 of 1 {words} softness 1.00 opacity 0.50 colour #ff0000"
    assert tip_at(page, 30, 20, 60, 40) == shown
    assert page.locator("#facts").inner_text().startswith(f"{name.capitalize()}s")
    ((primitive, _, shape),) = scene.parts()
    for line, margin in ((".over", 0.0), (".rim", 1.0)):
        sides = page.evaluate(
            """line => { const box = document.querySelector("#rings " + line).getBBox();
                         return [box.x, box.y, box.x + box.width, box.y + box.height]; }""",
            line,
        )
        np.testing.assert_allclose(sides, [side.item() for side in primitive.bounds(shape, margin)], atol=0.03)


@pytest.mark.slow
def test_a_mix_names_its_kinds(show, rng):
    page = show(grown(painted(rng, MIXED, 40), rng))
    facts = " ".join(page.locator("#facts").inner_text().split())
    share = 40 // len(PRIMITIVES)
    assert facts.startswith("Shapes 40 " + " ".join(f"{name.capitalize()}s {share}" for name in PRIMITIVES))
    assert "40 shapes" in readout(page)
    page.keyboard.press(".")
    assert page.locator("#news").inner_text().startswith(f"Shape 1 of 40 kind {next(iter(PRIMITIVES))}")


@pytest.mark.slow
def test_zoomed_in_the_painting_is_drawn_anew_and_zero_resets_the_view(show, result):
    page = show(result)
    whole, width = picture(page), frame_of(page)["width"]
    press(page, "+", "+", "+", "+")
    got = picture(page)
    want = artpipe.render(result.scene.scaled(round(round(width) * 1.5**4)))
    top, left = ((want.shape[k] - got.shape[k]) // 2 for k in range(2))
    assert decibels(got, want[top : top + got.shape[0], left : left + got.shape[1]]) > 34  # half a pixel aside
    press(page, "0", "+")
    assert page.locator("#fit").inner_text() == "1.5×"
    page.keyboard.press("Shift+ArrowRight")
    page.mouse.move(200, 200)
    page.mouse.wheel(0, -200)
    at_rest(page)
    nearer = picture(page)
    assert nearer.shape != whole.shape or np.abs(nearer - whole).mean() > 0.01
    press(page, "0")
    page.mouse.move(5, 5)
    assert page.locator("#fit").inner_text() == "1×"
    assert decibels(picture(page), whole) > 50


@pytest.mark.slow
def test_two_fingers_zoom_and_one_selects_a_circle(show, result):
    page = show(result, viewport={"width": 360, "height": 640}, has_touch=True, device_scale_factor=2)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    box = frame_of(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 60), ("touchEnd", None)):
        points = [] if apart is None else [{"x": x + side * apart, "y": y, "id": side + 1} for side in (-1, 1)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    at_rest(page)
    assert float(page.locator("#fit").inner_text().rstrip("×")) == pytest.approx(3, abs=0.5)
    page.locator("#fit").tap()
    at_rest(page)
    centre = next(xy for xy in result.scene.centres() if 10 < xy[0] < 86 and 10 < xy[1] < 54)
    x, y = (float(value) for value in centre * box["width"] / 96)
    page.touchscreen.tap(box["x"] + x, box["y"] + y)
    assert "of 60" in page.locator("#tip").inner_text()


@pytest.mark.slow
@pytest.mark.parametrize("size", [(320, 568), (768, 1024), (1920, 1080)])
def test_nothing_goes_beyond_the_window(show, result, size):
    long = "Donaudampfschifffahrtsgesellschaftskapitänswitwenversicherungsgesellschaft"
    for shown, title in ((result, f"{long} {long}"), (Result(result.scene), "Plain")):
        page = show(shown, title, viewport={"width": size[0], "height": size[1]})
        width, height, bottom = page.evaluate(
            """[document.documentElement.scrollWidth, document.documentElement.scrollHeight,
                document.querySelector("main").getBoundingClientRect().bottom]"""
        )
        assert width == size[0] and height <= max(size[1], bottom + 0.5)
        assert size[0] < 720 or height == size[1]
        # Clipped parts do not count as scrolled.
        assert page.evaluate(
            """[...document.querySelectorAll("main *")].every(element =>
                element.closest("svg, #tip") || element.getBoundingClientRect().right <= innerWidth)"""
        )


@pytest.mark.slow
def test_parts_without_data_are_hidden_and_a_hostile_title_is_only_shown(show, result):
    title = "</script><img src=x onerror=alert(1)><b>bold</b>"
    page = show(Result(result.scene), title)
    for part in ("#growth", "#loss", "#wipe", "#side"):
        assert page.locator(part).is_hidden()
    press(page, " ", "ArrowLeft", "Home", "w", "s")
    assert page.locator("#title").inner_text() == page.title() == title
    assert page.locator("#title *").count() == 0
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")

    page = show(Result(Scene.empty(Canvas(40, 30, (0.5, 0.25, 0.75)))))
    np.testing.assert_allclose(picture(page).mean(axis=(0, 1)), (0.5, 0.25, 0.75), atol=0.01)
    page.mouse.move(300, 300)
    page.keyboard.press(".")
    assert page.locator("#tip").is_hidden()
