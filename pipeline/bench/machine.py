"""What a bench ran on: without it, no timing means anything."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...renderers import FITTING_RENDERERS
from ...renderers.threads import thread_count, usable_cores

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
