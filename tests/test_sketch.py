"""p5.js sketches: run by node with a stub of p5, and drawn by Chromium."""

import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from chromium import chromium
from PIL import Image
from shapes import MIXED, crowd

import artpipe
from artpipe import Canvas, InputError, Scene

WIDTH, HEIGHT = 64, 48
# What of p5 a sketch uses, with a recorder for the canvas.
STUB = """
const calls = [];
const recorder = {};
const names = ['save', 'restore', 'scale', 'translate', 'rotate', 'beginPath', 'closePath', 'arc', 'fill', 'fillRect'];
for (const name of names)
  recorder[name] = (...values) => {
    if (values.some(value => !Number.isFinite(value))) throw new Error(`${name}(${values})`);
    calls.push([name, ...values]);
  };
recorder.createRadialGradient = (...values) => ({ addColorStop: (at, colour) => calls.push(['stop', at, colour]) });
globalThis.drawingContext = recorder;
globalThis.createCanvas = (w, h) => { globalThis.width = w; globalThis.height = h; calls.push(['canvas', w, h]); };
globalThis.background = colour => calls.push(['background', colour]);
let going = true;
globalThis.noLoop = () => { going = false; };
"""
DRIVER = """
setup();
let frames = 0;
while (going && frames < 100000) { draw(); frames++; }
console.log(JSON.stringify({ frames, calls, shapes: SHAPES }));
"""
PAGE = """<body style="margin:0"><script>
const createCanvas = (w, h) => {
  const canvas = document.body.appendChild(document.createElement('canvas'));
  canvas.style.display = 'block';
  [canvas.width, canvas.height, window.width, window.height] = [w, h, w, h];
  window.drawingContext = canvas.getContext('2d');
};
const background = colour => { drawingContext.fillStyle = colour; drawingContext.fillRect(0, 0, width, height); };
let going = true;
const noLoop = () => { going = false; };
</script><script>%s
setup(); while (going) draw();
</script>"""


@pytest.fixture
def sketch(tmp_path):
    """`(scene, **options) -> text` of the sketch."""
    return lambda scene, **options: artpipe.export(scene, tmp_path / "sketch.js", **options)[0].read_text("utf-8")


def run_by_node(text, tmp_path):
    if shutil.which("node") is None:
        pytest.skip("no node on the path")
    (tmp_path / "run.js").write_text(STUB + text + DRIVER, encoding="utf-8")
    done = subprocess.run(["node", tmp_path / "run.js"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def shapes_of(text):
    """The list at the end, which is JSON but for its quotes and the last comma."""
    data = text.partition("const SHAPES = ")[2].strip().removesuffix(";")
    return json.loads(data.replace("'", '"').replace(",\n]", "\n]"))


def test_the_list_has_a_line_for_each_shape_in_painting_order(sketch, rng):
    scene = crowd(rng, 40, WIDTH, HEIGHT, primitive=MIXED, radius=(8.0, 20.0))
    text = sketch(scene, title="Noche\u2028 alert(1) 絵", width=256)
    assert text.startswith("// Noche  alert(1) 絵: 40 shapes: ")  # U+2028 would end the comment
    assert "const WIDTH = 64, HEIGHT = 48;" in text and "const SCALE = 4;" in text
    assert "const BACKGROUND = '#336699';" in text
    rows = shapes_of(text)
    assert [row[0] for row in rows] == ["circle", "ellipse", "stroke", "triangle"] * 10
    np.testing.assert_allclose([row[2] for row in rows], scene.opacity, atol=0.001)
    first = rows[0]
    np.testing.assert_allclose(first[4:], scene.rows[0, 5:8], atol=0.006)
    assert all(f"// {kind}: " in text for kind in ("circle", "ellipse", "stroke", "triangle"))


def test_node_paints_every_shape_a_few_each_frame_and_stops(sketch, tmp_path, rng):
    scene = crowd(rng, 40, WIDTH, HEIGHT, primitive=MIXED, radius=(0.0, 20.0), softness=(0.1, 30.0))
    text = sketch(scene, width=128)
    done = run_by_node(text, tmp_path)
    rows = shapes_of(text)
    assert done["shapes"] == rows and done["frames"] == -(-len(rows) // 8)
    calls = done["calls"]
    assert calls[:2] == [["canvas", 128, 96], ["background", "#336699"]]
    names = [call[0] for call in calls]
    gradients = sum(row[0] in ("circle", "ellipse") for row in rows)
    assert names.count("fillRect") == gradients and names.count("stop") == 2 * gradients
    assert names.count("fill") >= len(rows) - gradients and names.count("save") == names.count("restore")


def test_node_runs_a_sketch_of_nothing(sketch, tmp_path):
    done = run_by_node(sketch(Scene.empty(Canvas(16, 12, transparent=True)), width=5), tmp_path)
    assert done["calls"][0] == ["canvas", 5, 4] and done["frames"] == 1
    assert not any(call[0] == "background" for call in done["calls"])


@pytest.mark.slow
# A canvas rounds each of the nested outlines to 8 bits.
@pytest.mark.parametrize(("kind", "least"), [("circle", 42), ("ellipse", 42), ("stroke", 35), ("triangle", 35)])
@pytest.mark.parametrize("factor", [1, 4])
def test_chromium_draws_what_we_draw(sketch, tmp_path, kind, least, factor):
    scene = crowd(np.random.default_rng(6), 40, WIDTH, HEIGHT, primitive=kind, softness=(0.6, 5.0))
    (tmp_path / "a.html").write_text(PAGE % sketch(scene, width=factor * WIDTH), encoding="utf-8")
    with chromium() as browser:
        page = browser.new_page(viewport={"width": factor * WIDTH, "height": factor * HEIGHT})
        page.goto((tmp_path / "a.html").as_uri())
        drawn = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), np.float64) / 255
    error = drawn - np.clip(artpipe.render(scene.scaled(factor * WIDTH)), 0, 1)
    assert artpipe.psnr(float(np.mean(error**2))) >= least


def test_a_falloff_that_a_sketch_cannot_draw_is_refused(sketch, rng):
    with pytest.raises(InputError, match=re.escape("Try .svg or .html")):
        sketch(crowd(rng, 3, WIDTH, HEIGHT, edge="logistic"))
