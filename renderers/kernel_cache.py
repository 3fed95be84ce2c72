"""Where compiled kernels are kept: where Numba would keep them, or a temporary folder where it finds no place.

Numba refuses to compile at all if neither the package's folder nor the user's cache folder can be written to, as in a
container that runs as nobody.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import numba


def find_place() -> None:
    """Lets Numba keep what it compiles in a temporary folder, if it finds no other place."""
    try:
        numba.njit(cache=True)(_probe)  # looks for a place, and compiles nothing
    except RuntimeError:
        config: Any = numba.config  # its settings come from the environment, unseen by type checkers
        config.CACHE_DIR = str(_temporary_folder())


def _probe() -> None:
    pass


def _temporary_folder() -> Path:
    """A folder of this user alone, the same one each time: what lies in it is loaded as code."""
    user = os.getuid() if hasattr(os, "getuid") else "kernels"
    folder = Path(tempfile.gettempdir()) / f"artpipe-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        private = not stat.S_ISLNK(found.st_mode) and (os.name != "posix" or found.st_mode & 0o077 == 0)
        if private and (not hasattr(os, "getuid") or found.st_uid == os.getuid()):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="artpipe-"))
