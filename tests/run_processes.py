"""Runs in their own processes, to interrupt and kill, and the contents of their folders."""

import hashlib
import json
import subprocess
import sys

import numpy as np

MARK = b"artpipe checkpoint 3\n"


def waves():
    """A picture that takes some steps to paint, (48, 64, 3) float32."""
    across, down = np.meshgrid(np.linspace(0, 7, 64), np.linspace(0, 5, 48))
    planes = [np.sin(across * k + np.cos(down * (4 - k))) for k in (1, 2, 3)]
    return (0.5 + 0.5 * np.stack(planes, axis=2)).astype(np.float32)


def command(*words):
    return [sys.executable, "-m", "artpipe", *map(str, words)]


def started(*words, **options):
    """A process whose stderr can be read line by line."""
    return subprocess.Popen(command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)


def finished(*words, **options):
    """A finished process: `returncode`, `stdout`, `stderr`."""
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=300, **options)


def wait_for(process, part):
    """Reads stderr up to the line that contains `part`, and returns all lines; fails if there is none."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if part in line:
            return lines
    raise AssertionError(f"{part!r} is not in {''.join(lines)!r}")


def ended(process, signals=(), timeout=300):
    """Sends signals and waits; returns the exit code and the rest of stderr."""
    for number in signals:
        process.send_signal(number)
    try:
        errors = process.communicate(timeout=timeout)[1]
    finally:
        process.kill()
    assert "Traceback" not in errors, errors
    return process.returncode, errors


def results(folder):
    """All results of a run except times, so that two runs can be compared."""
    metrics = json.loads((folder / "metrics.json").read_text())
    for row in (metrics, *metrics["history"]):
        for name in ("fit_seconds", "total_seconds", "seconds"):
            row.pop(name, None)
    with np.load(folder / "snapshots.npz") as arrays:
        snapshots = {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}
    pictures = [(folder / name).read_bytes() for name in ("painting.png", "target.png", "comparison.png")]
    run = json.loads((folder / "run.json").read_text())
    return {
        "names": sorted(path.name for path in folder.iterdir()), "scene": (folder / "scene.json").read_bytes(),
        "snapshots": snapshots, "metrics": metrics, "pictures": pictures, "run": run,
    }  # fmt: skip


def opened(data):
    """The .npz of a checkpoint file."""
    return data[len(MARK) + 65 :]


def sealed(payload):
    """A checkpoint file of this .npz, with a valid digest."""
    return MARK + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload
