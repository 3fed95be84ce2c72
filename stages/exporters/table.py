"""The table of exporters, by file ending."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path

from artpipe.renderers import InputError

from ..formats.scene_file import save_scene
from ..formats.together import in_pairs
from ..result import Result
from .film import export_apng, need_encoder
from .frames import export_frames, is_pattern
from .jpg import export_jpg
from .lottie import export_lottie
from .lqip import export_lqip
from .options import ExportOptions
from .pdf import export_pdf
from .png import export_png
from .posts import export_gif_post, export_mp4_post, export_webp_post
from .sketch import export_sketch
from .svg import export_svg
from .viewer import export_viewer


def export_scene(result: Result, path: Path, options: ExportOptions) -> None:
    """Write the scene file at `options.width`."""
    save_scene(options.resized(result.scene), path)


@dataclass(frozen=True)
class Exporter:
    """One kind of file.

    Attributes:
        write: `(result, path, options)`, writes the complete file or raises.
        options: fields of `ExportOptions` that apply to this kind of file.
        options_with: further fields that apply with a certain option.
    """

    write: Callable[[Result, Path, ExportOptions], None]
    options: tuple[str, ...]
    options_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_SVG = Exporter(
    export_svg,
    ("width", "title", "animated", "flat", "layers", "outline"),
    {"animated": ("seconds", "hold", "loop"), "outline": ("units", "paper", "dpi")},
)
_JPG = Exporter(export_jpg, ("width", "matte", "dpi"))
_FILM = ("width", "fps", "seconds", "hold", "loop")

EXPORTERS: dict[str, Exporter] = {
    ".png": Exporter(export_png, ("width",)),
    ".jpg": _JPG,
    ".jpeg": _JPG,
    ".svg": _SVG,
    ".svgz": _SVG,
    ".pdf": Exporter(export_pdf, ("width", "title", "flat", "paper", "dpi", "bleed")),
    ".gif": Exporter(export_gif_post, (*_FILM, "made_for", "matte", "alpha_threshold")),
    ".webp": Exporter(export_webp_post, (*_FILM, "made_for")),
    ".apng": Exporter(export_apng, _FILM),
    ".mp4": Exporter(export_mp4_post, ("width", "fps", "seconds", "hold", "made_for", "matte")),
    ".lottie.json": Exporter(export_lottie, ("width", "title", "fps", "seconds", "hold")),
    ".html": Exporter(export_viewer, ("title",)),
    ".lqip.html": Exporter(export_lqip, ("width", "title")),
    ".js": Exporter(export_sketch, ("width", "title")),
    ".json": Exporter(export_scene, ("width",)),
    ".npz": Exporter(export_scene, ("width",)),
}
"""File ending to exporter; of several that fit a name, the longest counts."""

FRAMES = "%d.png"
_KINDS = {**EXPORTERS, FRAMES: Exporter(export_frames, ("width", "fps", "seconds"))}


def ending_of(path: Path) -> str:
    """Return the key of a path's exporter in `EXPORTERS`, or `FRAMES`.

    Raises:
        InputError: no ending fits, or the number in a name is not one.
    """
    if is_pattern(path):
        return FRAMES
    name = path.name.lower()
    fitting = [ending for ending in EXPORTERS if name.endswith(ending) and name != ending]
    if not fitting:
        raise InputError(f"cannot export {path}: unknown ending; known are {', '.join(_KINDS)}")
    return max(fitting, key=len)


def check_paths(paths: Sequence[Path], options: ExportOptions | None = None) -> None:
    """Check paths and options before any work is done.

    Raises:
        InputError: an ending is unknown, a folder is missing or read-only, a path cannot be a file, or an option
            applies to none of the files.
        BackendUnavailable: an ending needs an extra that is not installed.
    """
    for path in paths:
        folder, ending = path.absolute().parent, ending_of(path)
        if not os.path.isdir(folder):  # unlike Path.is_dir, it accepts names that are too long
            raise InputError(f"cannot export {path}: the folder {path.parent} does not exist")
        if os.path.isdir(path):
            raise InputError(f"cannot export {path}: it is a folder")
        if not os.access(folder, os.W_OK):
            raise InputError(f"cannot export {path}: the folder {path.parent} is not writable")
        try:
            os.lstat(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise InputError(f"cannot export {path}: {error.strerror}") from None
        if ending == ".mp4":
            need_encoder()
    if paths and options is not None:
        _check_use({ending_of(path) for path in paths}, options)


def _check_use(endings: set[str], options: ExportOptions) -> None:
    """Refuse an option that applies to none of these endings."""
    for option in fields(options):
        name = option.name
        if getattr(options, name) == option.default:
            continue
        users = [ending for ending, exporter in _KINDS.items() if name in exporter.options]
        also, notes = [], []
        for other in ("animated", "outline"):
            more = [ending for ending, exporter in _KINDS.items() if name in exporter.options_with.get(other, ())]
            also += more if getattr(options, other) else []
            notes += [f"with {other}{' also' * bool(users)} {', '.join(more)}"] * bool(more)
        if endings.isdisjoint([*users, *also]):
            only = ", ".join(users) + (f" ({', '.join(notes)})" if notes else "")
            raise InputError(f"{name} applies only to {only.strip()}; none of the files is one")


def distinct_paths(paths: Iterable[Path]) -> list[Path]:
    """Return the paths without those that name the same file as an earlier one."""
    found: dict[str, Path] = {}
    for path in paths:
        found.setdefault(os.path.join(os.path.realpath(path.parent), path.name), path)
    return list(found.values())


def export_files(
    result: Result,
    paths: Sequence[Path],
    options: ExportOptions | None = None,
    together: bool = False,
    around: Callable[[Path], AbstractContextManager[object]] = nullcontext,
) -> Iterator[Path]:
    """Write each file once, complete or not at all; yields each path after it is written.

    Args:
        result: what is exported.
        paths: the files.
        options: size, timing and kind.
        together: whether to write two at a time; then KeyboardInterrupt waits for both.
        around: entered while a file is written, to measure it.

    Raises:
        InputError: as `check_paths`, or a file cannot be written.
        BackendUnavailable: as `check_paths`.
    """
    check_paths(paths, options)
    wanted = options or ExportOptions()

    def write(path: Path) -> Path:
        with around(path):
            _KINDS[ending_of(path)].write(result, path, wanted)
        return path

    jobs = [partial(write, path) for path in distinct_paths(paths)]
    yield from in_pairs(jobs) if together else (job() for job in jobs)
