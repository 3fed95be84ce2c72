"""Prints how near placeholders of 32 ellipses are to paintings, and blurred circles of the same length.

    python tests/lqip_figures.py PAINTING …

The rival is what SQIP writes: half-opaque hard circles by a greedy search, as in primitive, under one blur. It gets as
many circles as fit the bytes of our placeholder after gzip. Needs resvg. Not a test.
"""

import gzip
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import artpipe
from artpipe.stages.exporters.fidelity import draw_svg
from artpipe.stages.exporters.lqip import lqip_html, quantised
from artpipe.stages.exporters.options import ExportOptions
from artpipe.stages.exporters.svg_shapes import hex_of

SEARCHED, CIRCLES, CANDIDATES, CLIMBS = 64, 110, 300, 100
SQIP_BLUR = 12


def decibels(image, target):
    return artpipe.psnr(float(np.mean(np.square(np.clip(image, 0, 1) - target, dtype=np.float64))))


def greedy_circles(target, rng):
    """The background and (circle, colour) pairs."""
    height, width, _ = target.shape
    down, across = np.mgrid[:height, :width] + 0.5
    background = target.mean((0, 1))
    shown, found = np.tile(background, (height, width, 1)), []

    def gain(circle):
        inside = (across - circle[0]) ** 2 + (down - circle[1]) ** 2 < circle[2] ** 2
        if not inside.any():
            return -1.0, None
        wanted, before = target[inside], shown[inside]
        colour = np.clip((2 * wanted - before).mean(0), 0, 1)
        after = (before + colour) / 2
        return float(((wanted - before) ** 2).sum() - ((wanted - after) ** 2).sum()), colour

    for _ in range(CIRCLES):
        tried = [rng.uniform((0, 0, 1), (width, height, width / 4)) for _ in range(CANDIDATES)]
        circle = max(tried, key=lambda circle: gain(circle)[0])
        (reached, colour), age = gain(circle), 0
        while age < CLIMBS:
            moved = circle.copy()
            moved[rng.integers(3)] += rng.normal() * width / 16
            moved[2] = max(moved[2], 1.0)
            value, other = gain(moved)
            age += 1
            if value > reached:
                reached, colour, circle, age = value, other, moved, 0
        inside = (across - circle[0]) ** 2 + (down - circle[1]) ** 2 < circle[2] ** 2
        shown[inside] = (shown[inside] + colour) / 2
        found.append((circle, colour))
    return background, found


def blurred_svg(background, circles, scale, width, height, blur):
    body = "".join(
        f"<circle fill='{hex_of(colour)}' cx='{round(x * scale)}' cy='{round(y * scale)}' r='{round(r * scale)}'/>"
        for (x, y, r), colour in circles
    )
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}'><filter id='b'><feGaussianBlur "
        f"stdDeviation='{blur}'/></filter><path fill='{hex_of(background)}' d='M0 0h{width}v{height}H0z'/>"
        f"<g filter='url(#b)' fill-opacity='.5'>{body}</g></svg>"
    )


def length_of(svg, width, height):
    address = svg.replace("#", "%23").replace("<", "%3C").replace(">", "%3E")
    tag = f'<img src="data:image/svg+xml,{address}" width="{width}" height="{height}" alt="">\n'
    return len(gzip.compress(tag.encode(), 9, mtime=0))


def rival(target, bytes_max):
    """The number of circles that fit, and decibels by blur."""
    height, width, _ = target.shape
    small = Image.fromarray(np.uint8(np.rint(255 * target)))
    small = small.resize((SEARCHED, round(height * SEARCHED / width)), Image.Resampling.BOX)
    background, circles = greedy_circles(np.asarray(small, float) / 255, np.random.default_rng(0))
    scale = width / SEARCHED

    def svg(count, blur):
        return blurred_svg(background, circles[:count], scale, width, height, blur)

    count = max(k for k in range(1, CIRCLES + 1) if length_of(svg(k, SQIP_BLUR), width, height) <= bytes_max)
    reached = {}
    with tempfile.TemporaryDirectory() as folder:
        for blur in (0, 1, 2, 3, 4, 6, 8, SQIP_BLUR):
            (Path(folder) / "a.svg").write_text(svg(count, blur))
            reached[blur] = decibels(draw_svg(Path(folder) / "a.svg"), target)
    return count, reached


def main():
    for picture in sys.argv[1:]:
        result = artpipe.fit(picture, shape="ellipse", count=32)
        tag = lqip_html(result, ExportOptions(title="")).partition("\n")[2]
        length = len(gzip.compress(tag.encode(), 9, mtime=0))
        height, width, _ = result.target.shape
        ours = decibels(artpipe.render(quantised(result.scene).scaled(width, height)), result.target)
        count, reached = rival(np.asarray(result.target, np.float64), length)
        blur = max(reached, key=reached.get)
        whole = decibels(result.image, result.target)
        print(
            f"{Path(picture).stem:22} {length} bytes, {ours:.2f} dB (not rounded {whole:.2f}); {count} blurred circles "
            f"{reached[blur]:.2f} (best blur, {blur}), {reached[SQIP_BLUR]:.2f} (blur {SQIP_BLUR})",
            flush=True,
        )


if __name__ == "__main__":
    main()
