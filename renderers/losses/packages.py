"""Finds files in installed packages without importing them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ..errors import BackendUnavailable


def packaged_file(package: str, file: str, purpose: str, extra: str) -> Path:
    """The path of a file inside an installed package.

    Args:
        package: its import name.
        file: path inside the package.
        purpose: name of the feature that needs it, for the message.
        extra: the extra of artpipe that installs it.

    Raises:
        BackendUnavailable: the package is not installed, or holds no such file.
    """
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    for path in (Path(folder) / file for folder in folders):
        if path.is_file():
            return path
    name = package.replace("_", "-")
    problem = f"whose installed version has no {file}" if folders else "which is not installed"
    raise BackendUnavailable(f"{purpose} needs {name}, {problem}; try: pip install 'artpipe[{extra}]'")
