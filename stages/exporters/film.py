"""Films of a painting's growth: GIF, animated WebP, APNG, MP4, all from the same frames."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import BackendUnavailable, Canvas, InputError, load_renderer
from artpipe.renderers.alpha import WHITE, flattened, picture_of
from artpipe.renderers.canvas import SIDE_MAX

from ..formats.files import whole_file, whole_path
from ..pictures.picture import as_bytes
from ..result import Result
from .growth import even_scenes
from .options import ExportOptions
from .palette import Palette

Array = np.ndarray[Any, Any]

# Bytes that all frames of a film may take: their encoder takes twice as much besides.
MEMORY = 600_000_000
# The longest sides that GIF and WebP have numbers for and that x264 takes, pixels.
GIF_SIDE, WEBP_SIDE, MP4_SIDE = 65535, 16383, 16384
# The longest side of a film whose width was not asked for: what is larger is heavy to share.
USUAL_SIDE = 1024
# What a pixel may differ from the true one, as the sum of squares over its channels (0..255), before it is painted
# anew: about what the palette costs anyway. It halves the file.
TOLERANCE = 75
# Alpha thresholds that are tried if none is asked for, in 1/255, and the share of all pixels that is too few to count.
THRESHOLDS, FEW = range(16, 65), 0.005
# WebP's, 0..100: 40 dB and more at a tenth of a GIF.
WEBP_QUALITY = 82


def export_gif(result: Result, path: Path, options: ExportOptions) -> None:
    """Writes a GIF: one palette, no dither, and only the pixels that changed.

    Dither would defeat the compression, and flicker. Frames in which no pixel changes become one that stands longer.
    A pixel of a GIF is opaque or transparent: half-transparent ones are laid over the matte, faint ones left out. What
    is painted cannot be wiped out one by one, so on a transparent canvas each frame is whole and cleared away before
    the next.
    """
    import imageio.v3 as iio

    frames = list(frames_of(result, options, side_max=GIF_SIDE))
    transparent = result.scene.canvas.transparent
    if transparent:
        threshold = _sparse_alpha(frames[-1]) if options.alpha_threshold is None else options.alpha_threshold
        for k, frame in enumerate(frames):  # in place: the frames may take most of the memory
            frames[k] = _on_matte(frame, options.matte_or(WHITE), threshold)
    palette = Palette.of(frames)
    indices = palette.whole_frames(frames) if transparent else palette.film(frames, TOLERANCE)
    # Indices as grey values and a palette beside them: so no one chooses another palette.
    film = iio.imwrite(
        "<bytes>", indices, extension=".gif", mode="L", is_batch=True, palette=palette.as_bytes(),
        transparency=palette.transparent, disposal=2 if transparent else 1, duration=durations(options, 10),
        **_looping(options),
    )  # fmt: skip
    _write(film, path)


def export_webp(result: Result, path: Path, options: ExportOptions) -> None:
    """Writes an animated WebP, lossy: a tenth of a GIF's size."""
    import imageio.v3 as iio

    frames = _stacked(frames_of(result, options, side_max=WEBP_SIDE), frame_count(options))
    film = iio.imwrite(
        "<bytes>", frames, extension=".webp", is_batch=True, quality=WEBP_QUALITY, method=4,
        duration=durations(options, 1), loop=options.loop,
    )  # fmt: skip
    _write(film, path)


def export_apng(result: Result, path: Path, options: ExportOptions) -> None:
    """Writes an animated PNG: every frame exact."""
    import imageio.v3 as iio

    frames = _stacked(frames_of(result, options), frame_count(options))
    film = iio.imwrite(
        "<bytes>", frames, extension=".png", is_batch=True, duration=durations(options, 1), loop=options.loop
    )
    _write(film, path)


def _on_matte(frame: Array, matte: tuple[float, float, float], threshold: float) -> Array:
    """The frame laid over the matte, (H, W, 4) uint8; transparent where its alpha is below the threshold, 0..1."""
    solid = np.empty_like(frame)
    solid[:, :, :3] = np.rint(flattened(frame / np.float32(255), matte) * 255)
    solid[:, :, 3] = np.where(frame[:, :, 3] >= 255 * threshold, 255, 0)
    return solid


def _sparse_alpha(frame: Array) -> float:
    """The least of `THRESHOLDS` that few pixels of the frame are near to, 0..1.

    Soft shapes never draw an even alpha: a threshold near the alpha of some part would fill it with blobs.
    """
    count = np.bincount(frame[:, :, 3].ravel(), minlength=256)
    near = np.array([count[level // 2 : 3 * level // 2].sum() for level in THRESHOLDS])
    return THRESHOLDS[int(np.argmax(near <= near.min() + FEW * count.sum()))] / 255


def _stacked(frames: Iterator[Array], count: int) -> Array:
    """The frames as one array, without a second copy of them."""
    first = next(frames)
    stack = np.empty((count, *first.shape), first.dtype)
    stack[0] = first
    for place, frame in zip(stack[1:], frames, strict=True):
        place[:] = frame
    return stack


def _write(film: bytes, path: Path) -> None:
    """Writes a film that was made in memory: on a full disk, imageio would try again as it is taken away."""
    with whole_file(path) as file:
        file.write(film)


def need_encoder() -> None:
    """Refuses to go on without FFmpeg.

    Raises:
        BackendUnavailable: the extra `video` is not installed.
    """
    if find_spec("imageio_ffmpeg") is None:
        raise BackendUnavailable(
            "an .mp4 needs imageio-ffmpeg, which is not installed; try: pip install 'artpipe[video]'"
        )


def export_mp4(result: Result, path: Path, options: ExportOptions) -> None:
    """Writes an H.264 film, sides cut to even numbers; the result stands for `options.hold`.

    It knows no transparency: what the shapes leave bare is of the matte's colour, or of the canvas's background.

    Raises:
        BackendUnavailable: the extra `video` is not installed.
    """
    need_encoder()
    import imageio.v3 as iio
    from imageio_ffmpeg import count_frames_and_secs

    frames = [_even_sides(frame) for frame in frames_of(result, options, flat=True, side_max=MP4_SIDE)]
    frames += frames[-1:] * round(options.hold * options.fps)  # the same array: it takes no memory
    with whole_path(path) as temporary, warnings.catch_warnings():
        # JAX warns of forks, but the encoder is another program: nothing of ours goes on in the child.
        warnings.filterwarnings("ignore", message=r"os\.fork\(\)", category=RuntimeWarning)
        imopen: Any = iio.imopen  # its stubs know no FFMPEG
        with imopen(temporary, "w", plugin="FFMPEG") as file:
            file.write(
                iter(frames), is_batch=True, fps=options.fps, codec="libx264", quality=None, macro_block_size=2,
                output_params=["-crf", "18", "-preset", "medium", "-movflags", "+faststart"],
            )  # fmt: skip
        try:
            written, _ = count_frames_and_secs(str(temporary))
        except RuntimeError:
            written = 0
        if written != len(frames):  # imageio does not tell whether FFmpeg failed
            raise OSError("the encoder could not write it; is there room?")


def frame_count(options: ExportOptions) -> int:
    """How many frames a film has, its held last frame among them."""
    return max(2, round(options.seconds * options.fps))


def durations(options: ExportOptions, unit: int) -> list[int]:
    """How long each frame stands, milliseconds, in multiples of `unit`; rounded so that the sum stays right."""
    count = frame_count(options)
    ends = [round(1000 / options.fps * (k + 1) / unit) * unit for k in range(count)]
    ends[-1] += round(1000 * options.hold / unit) * unit
    return [max(unit, end - start) for start, end in zip([0, *ends], ends, strict=False)]


def frames_of(result: Result, options: ExportOptions, flat: bool = False, side_max: int = SIDE_MAX) -> Iterator[Array]:
    """The frames, uint8, at an even visual pace: the blank canvas first, the result last.

    Args:
        result: what to show.
        options: width and timing.
        flat: whether what is transparent is laid over the matte, or over the background if there is none.
        side_max: pixels that a side may have in the file.

    Yields:
        (H, W, 3) each, or (H, W, 4) on a transparent canvas.

    Raises:
        InputError: they would not fit into memory, or into such a file.
    """
    count = frame_count(options)
    canvas = result.scene.canvas
    width = options.width or _usual_width(canvas)
    height = result.scene.scaled(width).canvas.height
    if max(width, height) > side_max:
        raise InputError(
            f"frames are {width} x {height} pixels; this kind of film needs at most {side_max} a side. "
            "Try another --width, or .apng"
        )
    channels = 4 if canvas.transparent and not flat else 3
    if count * width * height * channels > MEMORY:
        fits = int((MEMORY / channels / count * width / height) ** 0.5)
        while fits and count * fits * result.scene.scaled(fits).canvas.height * channels > MEMORY:
            fits -= 1
        cure = f"--width {fits}" if fits else "fewer --seconds"
        raise InputError(f"{count} frames of {width} x {height} pixels need too much memory. Try {cure}")
    for scene in even_scenes(result, count):
        scaled = scene.scaled(width, height)
        if flat and canvas.transparent:
            scaled = scaled.with_background(options.matte_or(canvas.background))
        yield as_bytes(load_renderer("cpu").render(scaled) if flat else picture_of(scaled))


def _usual_width(canvas: Canvas) -> int:
    """The canvas's width, or that of its picture as large as `USUAL_SIDE`."""
    longest = max(canvas.width, canvas.height)
    return canvas.width if longest <= USUAL_SIDE else max(1, round(canvas.width * USUAL_SIDE / longest))


def _even_sides(frame: Array) -> Array:
    """The frame without its last column or line where their number is odd; a single one is doubled."""
    for axis in (0, 1):
        length = frame.shape[axis]
        frame = np.repeat(frame, 2, axis) if length == 1 else np.take(frame, range(length // 2 * 2), axis)
    return frame


def _looping(options: ExportOptions) -> dict[str, Any]:
    """GIF counts repetitions after the first showing, and has no word for a single showing but to say nothing."""
    return {} if options.loop == 1 else {"loop": max(0, options.loop - 1)}
