"""Prints the figures of growth on the seven seed paintings: loss, seconds, and time to beat the published loss.

    python tests/figures.py --folder PAINTINGS --preset balanced --trials 3
    python tests/figures.py --folder PAINTINGS --preset draft --renderer torch --option pool=1.3

PAINTINGS holds the pictures and `published.csv`. Not a test: timings are of this machine.
"""

from __future__ import annotations

import argparse
import ast
import csv
import math
from pathlib import Path
from statistics import mean
from typing import Any

import artpipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="paintings and published.csv")
    parser.add_argument("--preset", default="balanced", choices=["draft", "balanced", "best"])
    parser.add_argument("--renderer", default="jax", choices=["jax", "torch"])
    parser.add_argument("--trials", type=int, default=1, help="random seeds for each painting")
    parser.add_argument("--only", default="", help="names of paintings, separated by commas")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="any option of a run")
    arguments = parser.parse_args()
    options: dict[str, Any] = {"preset": arguments.preset, "renderer": arguments.renderer, "size": "256x256"}
    for name, value in (pair.split("=", 1) for pair in arguments.option):
        options[name] = ast.literal_eval(value)
    with (arguments.folder / "published.csv").open(encoding="utf-8") as file:
        published = list(csv.DictReader(file))
    names = [name for name in arguments.only.split(",") if name]
    results = []
    for painting in published:
        if names and painting["image"] not in names:
            continue
        target_loss = float(painting["jax_seed_loss"])
        for seed in range(arguments.trials):
            result = artpipe.fit(arguments.folder / painting["file"], seed=seed, **options)
            metrics, curve = result.metrics, result.history.curve
            beaten = next((point.seconds for point in curve if 4 * point.mse < target_loss), math.nan)
            results.append((metrics.seed_loss, metrics.fit_seconds, beaten))
            print(
                f"{painting['image']:18} seed {seed}  seed_loss {metrics.seed_loss:.6f}  {metrics.psnr:.2f} dB  "
                f"{metrics.fit_seconds:.2f} s  published loss beaten at {beaten:.2f} s",
                flush=True,
            )
    losses, seconds, beaten = zip(*results, strict=True)
    print(
        f"mean seed_loss {mean(losses):.6f} (geometric {math.exp(mean(map(math.log, losses))):.6f}), "
        f"fit_seconds {mean(seconds):.2f}, published loss beaten after at most {max(beaten):.2f} s"
    )


if __name__ == "__main__":
    main()
