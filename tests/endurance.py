"""Memory and time of long and large runs; run by hand, not by pytest.

python tests/endurance.py soak --minutes 60     # memory growth over repeated runs in one process
python tests/endurance.py large                 # 2048 pixels, 20,000 circles: peak memory and seconds
"""

import argparse
import gc
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

IMAGES = Path(__file__).parent.parent / "images"


def resident():
    """Resident bytes of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def soak(minutes, renderers):
    """Paints and exports the sample paintings repeatedly, and prints the growth of memory after the first round."""
    import artpipe

    pictures = sorted(IMAGES.glob("*.jpg"))
    ends = time.monotonic() + 60 * minutes
    held, done = [], 0
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < ends or len(held) < 3:
            for picture in pictures:
                for renderer in renderers:
                    result = artpipe.fit(picture, count=256, steps=200, seed=done, renderer=renderer, size="128x128")
                    artpipe.export(result, Path(folder) / "a.svg", Path(folder) / "a.gif")
                    done += 1
            del result
            gc.collect()
            held.append(resident())
            print(f"{done} runs: {held[-1] / 1e6:.1f} MB", flush=True)
    last = median(held[-max(1, len(held) // 10) :])
    print(f"after the first round of {len(pictures) * len(renderers)} runs {held[0] / 1e6:.1f} MB")
    print(f"at the end, after {done} runs, {last / 1e6:.1f} MB: {100 * (last / held[0] - 1):+.2f} %")


def large(size, circles):
    """One run of the command line on a large canvas."""
    picture = IMAGES / "starry_night_van_gogh_1889.jpg"
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        words = ["run", picture, "--size", size, "--max", circles, "--growth", circles // 8, "-o", Path(folder) / "run"]
        subprocess.run([sys.executable, "-m", "artpipe", *map(str, words)], check=True)
        seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"{size} pixels, {circles} circles: peak {peak / 1e9:.2f} GB, {seconds:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    soaking = commands.add_parser("soak")
    soaking.add_argument("--minutes", type=float, default=60)
    soaking.add_argument("--renderer", dest="renderers", action="append", choices=["jax", "torch"])
    being_large = commands.add_parser("large")
    being_large.add_argument("--size", type=int, default=2048)
    being_large.add_argument("--circles", type=int, default=20_000)
    given = parser.parse_args()
    if given.command == "soak":
        soak(given.minutes, given.renderers or ["jax", "torch"])
    else:
        large(given.size, given.circles)
