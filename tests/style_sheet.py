"""Draws a painting in every style, side by side, and prints how different the styles are.

    python tests/style_sheet.py images/mona_lisa_da_vinci_1503.jpg docs/styles.jpg
    python tests/style_sheet.py images/mona_lisa_da_vinci_1503.jpg sheet.jpg --count 64

The differences are LPIPS distances of all pairs (extra metrics).
"""

import argparse
from itertools import combinations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import artpipe
from artpipe.pipeline.styles import STYLES
from artpipe.renderers.losses.lpips import perceptual_distance

LINE, GAP, COLUMNS = 22, 8, 4  # pixels, pictures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture")
    parser.add_argument("sheet")
    parser.add_argument("--count", type=int, help="shapes, in place of those of the style")
    parser.add_argument("--width", type=int, default=300, help="of each picture on the sheet, pixels")
    arguments = parser.parse_args()
    results = {name: artpipe.fit(arguments.picture, arguments.count, style=name) for name in STYLES}
    for name, result in results.items():
        m = result.metrics
        print(f"{name:12} {m.shapes:5} shapes  {m.psnr:.2f} dB  {m.fit_seconds:.1f} s", flush=True)
    pairs = {pair: perceptual_distance(*(results[name].image for name in pair)) for pair in combinations(STYLES, 2)}
    if None not in pairs.values():
        for pair, distance in sorted(pairs.items(), key=lambda item: item[1])[:5]:
            print(f"LPIPS {distance:.3f}  {' and '.join(pair)}")
    pictures = {
        name: Image.fromarray(
            np.round(255 * artpipe.render(result.scene.scaled(arguments.width)).clip(0, 1)).astype(np.uint8)
        )
        for name, result in results.items()
    }
    width, height = next(iter(pictures.values())).size
    lines = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (width + GAP) - GAP, lines * (height + LINE + GAP) - GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for k, (name, picture) in enumerate(pictures.items()):
        x, y = k % COLUMNS * (width + GAP), k // COLUMNS * (height + LINE + GAP)
        sheet.paste(picture, (x, y))
        pen.text((x + 2, y + height + 1), name, "black", font)
    sheet.save(arguments.sheet, quality=82)


if __name__ == "__main__":
    main()
