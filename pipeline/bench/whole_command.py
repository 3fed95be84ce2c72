"""`artpipe bench command`: what a whole `artpipe run` costs, by part."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from artpipe.renderers import InputError
from artpipe.renderers.errors import one_line

from ..folders.rundir import save_options
from ..options import RunConfig

# Parts that a run reports, by its names for them.
_PARTS = {
    "framework": "framework", "decode": "decode", "warm-up": "warm-up, compile", "fit": "metrics, checkpoints",
    "save": "save",
}  # fmt: skip


def measure(pictures: Sequence[Path], config: RunConfig, repeats: int) -> Iterator[tuple[Path, dict[str, float]]]:
    """Each picture and the seconds of the parts of its run, medians of `repeats` runs, each in a process of its own.

    Parts are in order of time; each file of the exports is another row beside their sum, since two files are written at
    a time. "CPU" is user and system time; it is missing on systems that do not report it. A first run, which may
    compile, is not counted.

    Raises:
        InputError: a run fails.
    """
    with tempfile.TemporaryDirectory(prefix="artpipe-") as folder:
        save_options(Path(folder), "", config, "cpu")
        for picture in pictures:
            runs = [_parts_of(picture.absolute(), Path(folder)) for _ in range(repeats + 1)][1:]
            yield picture, {part: round(median(run[part] for run in runs), 4) for part in runs[0]}


def _parts_of(picture: Path, folder: Path) -> dict[str, float]:
    """The parts of one run with the options of the `run.json` in this folder."""
    words = ["run", picture, "-o", folder / "run", "--config", folder / "run.json", "--json", "--quiet"]
    cpu, launched, started = _cpu_seconds(), time.time(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "artpipe", *map(str, words)], capture_output=True, text=True, encoding="utf-8"
    )
    wall, returned = time.perf_counter() - started, time.time()
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise InputError(f"a run of {picture} failed: {one_line(reason[0].removeprefix('Error: '))}")
    metrics = json.loads(done.stdout)
    timings: Mapping[str, Any] = metrics["timings"]
    parts = {"start, imports": timings["began"] - launched}
    for name, shown in _PARTS.items():
        seconds = timings["parts"].get(name, 0.0)
        if name == "fit":
            parts["fit"] = metrics["fit_seconds"]
            seconds -= metrics["fit_seconds"]
        parts[shown] = seconds
    parts["exports"] = timings["parts"]["exports"]
    parts["exit"] = returned - timings["ended"]
    parts["the rest"] = wall - sum(parts.values())
    parts |= {f"export {file}": seconds for file, seconds in timings["files"].items()}
    parts["all"] = wall
    parts["all but the fit"] = wall - parts["fit"]
    if cpu is not None:
        after = _cpu_seconds()
        assert after is not None
        parts["CPU"] = after - cpu
    return parts


def _cpu_seconds() -> float | None:
    """User and system time of the processes that have ended, seconds; None if the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
