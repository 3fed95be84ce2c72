"""Machine and versions that a bench runs on: part of its identity, since timings of different ones do not compare."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Mapping
from importlib import metadata
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from artpipe.renderers import FITTING_RENDERERS, BackendUnavailable, InputError
from artpipe.renderers.threads import thread_count, usable_cores

PACKAGES = ("artpipe", "jax", "jaxlib", "numba", "numpy", "optax", "torch")


def require(*packages: str) -> None:
    """Check that packages of the extra `bench` are installed.

    Raises:
        BackendUnavailable: one is not.
    """
    if missing := [name for name in packages if find_spec(name) is None]:
        raise BackendUnavailable(f"artpipe bench needs {', '.join(missing)}; try: pip install 'artpipe[bench]'")


def machine() -> dict[str, Any]:
    """CPU, cores, threads that draw, GPU, system, Python, packages, and the load average of the last minute."""
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
    """Code, packages and machine that a bench or sweep must keep; plain values by name."""
    here = machine()
    kept = {name: here[name] for name in ("python", "system", "cpu", "cores")}
    return {**here["packages"], "sources": source_digest(), **kept}


def check_unchanged(what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that what a bench or sweep was started with is the same now.

    Raises:
        InputError: a value differs.
    """
    differing = ", ".join(
        f"{name} {before.get(name, 'unknown')} (now {now.get(name, 'missing')})"
        for name in {**now, **before}
        if before.get(name) != now.get(name)
    )
    if differing:
        raise InputError(f"{what} was started with {differing}; new trials would not compare. Use another folder (-o)")


def source_digest() -> str:
    """A digest of the installed sources."""
    digest = hashlib.sha256()
    for package in ("renderers", "stages", "pipeline"):
        folder = Path(str(files(f"artpipe.{package}")))
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def installed_renderers() -> tuple[str, ...]:
    """The frameworks that are installed; PyTorch is an extra."""
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
