"""Prints the figures of the exports of a run folder: sizes, seconds, and how truly Chromium draws them.

    python tests/export_figures.py outputs/starry_night_van_gogh_1889

Needs the dev extra and a Chromium. Timings are of this machine; the PNG's memory is a process of its own.
"""

import io
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from artpipe import export, mean_squared_error, psnr, render
from artpipe.pipeline.folders.rundir import load_result
from artpipe.stages.exporters.film import frames_of
from artpipe.stages.exporters.options import ExportOptions

PNG = """
import resource, sys, time
from artpipe import export
start = time.perf_counter()
export(sys.argv[1], sys.argv[2], width=8192)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{time.perf_counter() - start:.1f} s, {memory:.0f} MB at most")
"""
# Frames a second while the mouse drags the slider to and fro.
WATCH = """() => {
  window.times = [];
  const tick = now => { window.times.push(now); window.watching = requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
}"""


def decibels(image, other):
    return psnr(max(mean_squared_error(np.clip(image, 0, 1), np.clip(other, 0, 1)), 1e-12))


def drawn_svg(browser, path, width, height):
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(path.as_uri())
    image = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), np.float32) / 255
    page.close()
    return image


def figures_of_svg(browser, result, folder):
    own = render(result.scene)
    for width in (result.scene.canvas.width, 1024):
        export(result, folder / "wide.svg", width=width)
        scaled = result.scene.scaled(width)
        drawn = drawn_svg(browser, folder / "wide.svg", scaled.canvas.width, scaled.canvas.height)
        yield f"SVG by Chromium at {width} px, of our raster", f"{decibels(drawn, render(scaled)):.2f} dB"
        if width == result.scene.canvas.width and result.target is not None:
            change = decibels(drawn, result.target) - decibels(own, result.target)
            yield "SVG by Chromium, PSNR to the target less ours", f"{change:+.3f} dB"
    for name, options in (
        ("soft.svg", {}), ("soft.svgz", {}), ("flat.svg", {"flat": True}), ("layers.svg", {"layers": 8}),
        ("animated.svg", {"animated": True}),
    ):  # fmt: skip
        start = time.perf_counter()
        export(result, folder / name, **options)
        seconds = time.perf_counter() - start
        yield name, f"{(folder / name).stat().st_size / 1000:.1f} kB in {seconds:.2f} s"


def figures_of_films(result, folder):
    for ending in (".gif", ".webp", ".apng", ".mp4"):
        path = folder / f"film{ending}"
        start = time.perf_counter()
        export(result, path)
        seconds = time.perf_counter() - start
        yield f"film{ending}", f"{path.stat().st_size / 1000:.0f} kB in {seconds:.2f} s"
    film = Image.open(folder / "film.gif")
    qualities = []
    for k, frame in enumerate(frames_of(result, ExportOptions())):
        film.seek(k)
        qualities.append(decibels(np.asarray(film.convert("RGB")) / 255, frame / 255))
    yield f"GIF, worst of its {film.n_frames} frames", f"{min(qualities):.2f} dB"


def figures_of_viewer(browser, result, folder):
    path = folder / "viewer.html"
    export(result, path)
    yield "viewer.html", f"{path.stat().st_size / 1000:.0f} kB"
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(path.as_uri())
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
    yield "viewer, frames a second while scrubbing", f"{1000 / times.mean():.1f} ({(times > 20).mean():.0%} over 20 ms)"


def main():
    source = Path(sys.argv[1])
    result = load_result(source)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for figures in (
            figures_of_svg(browser, result, folder),
            figures_of_films(result, folder),
            figures_of_viewer(browser, result, folder),
        ):
            for what, figure in figures:
                print(f"{what:50} {figure}", flush=True)
        command = [sys.executable, "-c", PNG, str(source), str(folder / "big.png")]
        print(f"{'PNG 8192 px wide':50} {subprocess.run(command, capture_output=True, text=True).stdout.strip()}")


if __name__ == "__main__":
    main()
