"""What a bench ran on: without it, no timing means anything."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Mapping
from fnmatch import fnmatch
from importlib import metadata
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from artpipe.renderers import FITTING_RENDERERS
from artpipe.renderers.threads import thread_count, usable_cores

# Sources that a result does not depend on.
_SHOWING = (
    "stages/exporters/*",
    "pipeline/artpipe/*",
    *(f"pipeline/bench/{name}.py" for name in ("command", "plots", "readme", "report", "summary", "tables")),
)

PACKAGES = ("artpipe", "jax", "jaxlib", "numba", "numpy", "optax", "torch")


def machine() -> dict[str, Any]:
    """CPU, cores, threads that draw, GPU, Python, packages, and how busy the machine was."""
    return {
        "cpu": _cpu(),
        "cores": usable_cores(),
        "threads": thread_count(),
        "gpu": None,  # every contestant draws on the CPU kernel
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
    }


def environment() -> dict[str, Any]:
    """What a bench or sweep may not be continued without: code, packages and machine, plain values by name."""
    here = machine()
    return {
        **here["packages"], "sources": source_digest(),
        "python": here["python"], "system": here["system"], "cpu": here["cpu"], "cores": here["cores"],
    }  # fmt: skip


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The values of an environment that are not the same now, in words; empty if there are none."""
    names = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    return ", ".join(f"{name} {before.get(name, 'unknown')} (now {now.get(name, 'missing')})" for name in names)


def source_digest() -> str:
    """A digest of the installed sources but for those that only show what was computed."""
    digest = hashlib.sha256()
    for package in ("renderers", "stages", "pipeline"):
        folder = Path(str(files(f"artpipe.{package}")))
        for path in sorted(folder.rglob("*.py")):
            name = f"{package}/{path.relative_to(folder).as_posix()}"
            if not any(fnmatch(name, shown) for shown in _SHOWING):
                digest.update(f"{name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def installed_renderers() -> tuple[str, ...]:
    """The frameworks that are here: PyTorch is an extra."""
    return tuple(name for name in FITTING_RENDERERS if find_spec(name) is not None)


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
