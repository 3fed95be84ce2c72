"""Prints the figures of the exports of a run folder: sizes, seconds, and fidelity in Chromium.

    python tests/export_figures.py outputs/starry_night_van_gogh_1889

Needs the dev extra and a Chromium. Not a test: timings are of this machine.
"""

import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from chromium import chromium
from PIL import Image

from artpipe import export, mean_squared_error, psnr, render
from artpipe.pipeline.folders.rundir import load_result
from artpipe.stages.exporters.film import frames_of
from artpipe.stages.exporters.options import ExportOptions

# In a process of its own, for its memory.
PNG = """
import resource, sys, time
from artpipe import export
start = time.perf_counter()
export(sys.argv[1], sys.argv[2], width=8192)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{time.perf_counter() - start:.1f} s, {memory:.0f} MB at most")
"""
# Records frame times while the slider is dragged.
WATCH = """() => {
  window.times = [];
  const tick = now => { window.times.push(now); window.watching = requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
}"""
FILES = {
    "soft.svg": {}, "soft.svgz": {}, "flat.svg": {"flat": True}, "layers.svg": {"layers": 8},
    "animated.svg": {"animated": True}, "film.gif": {}, "film.webp": {}, "film.apng": {}, "film.mp4": {},
    "viewer.html": {},
}  # fmt: skip


def decibels(image, other):
    return psnr(max(mean_squared_error(np.clip(image, 0, 1), np.clip(other, 0, 1)), 1e-12))


def figures_of_files(result, folder):
    for name, options in FILES.items():
        start = time.perf_counter()
        export(result, folder / name, **options)
        seconds = time.perf_counter() - start
        yield name, f"{(folder / name).stat().st_size / 1000:.1f} kB in {seconds:.2f} s"
    film = Image.open(folder / "film.gif")
    qualities = []
    for k, frame in enumerate(frames_of(result, ExportOptions())):
        film.seek(k)
        qualities.append(decibels(np.asarray(film.convert("RGB")) / 255, frame / 255))
    yield f"GIF, worst of its {film.n_frames} frames", f"{min(qualities):.2f} dB"


def figures_of_svg(browser, result, folder):
    for width in (result.scene.canvas.width, 1024):
        export(result, folder / "wide.svg", width=width)
        scaled = result.scene.scaled(width)
        page = browser.new_page(viewport={"width": scaled.canvas.width, "height": scaled.canvas.height})
        page.goto((folder / "wide.svg").as_uri())
        drawn = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), np.float32) / 255
        page.close()
        yield f"SVG by Chromium at {width} px, of our raster", f"{decibels(drawn, render(scaled)):.2f} dB"
        if width == result.scene.canvas.width and result.target is not None:
            change = decibels(drawn, result.target) - decibels(result.image, result.target)
            yield "SVG by Chromium, PSNR to the target less ours", f"{change:+.3f} dB"


def figures_of_viewer(browser, folder):
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((folder / "viewer.html").as_uri())
    page.wait_for_selector("canvas[data-drawn=exact]")
    yield "viewer, from opening to the exact picture", f"{page.evaluate('performance.now()') / 1000:.2f} s"
    page.wait_for_timeout(3000)
    box = page.locator("#slider").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 12, middle)
    page.mouse.down()
    page.evaluate(WATCH)
    for k in range(240):
        share = abs((k % 120) / 60 - 1)
        page.mouse.move(box["x"] + 12 + share * (box["width"] - 24), middle)
        page.wait_for_timeout(8)
    times = np.diff(page.evaluate("(cancelAnimationFrame(window.watching), window.times)"))
    page.mouse.up()
    yield (
        "viewer, frames per second while scrubbing",
        f"{1000 / times.mean():.1f} ({(times > 20).mean():.0%} over 20 ms)",
    )


def main():
    source = Path(sys.argv[1])
    result = load_result(source)
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        parts = (
            figures_of_files(result, folder),
            figures_of_svg(browser, result, folder),
            figures_of_viewer(browser, folder),
        )
        for figures in parts:
            for what, figure in figures:
                print(f"{what:50} {figure}", flush=True)
        command = [sys.executable, "-c", PNG, str(source), str(folder / "big.png")]
        print(f"{'PNG 8192 px wide':50} {subprocess.run(command, capture_output=True, text=True).stdout.strip()}")


if __name__ == "__main__":
    main()
