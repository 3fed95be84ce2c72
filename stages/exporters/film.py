"""Films of a painting's growth: GIF, animated WebP, APNG and MP4, all from the same frames."""

from __future__ import annotations

import math
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

# Most bytes that the frames of a film may take; the encoder needs twice as much on top.
MEMORY = 600_000_000
# Longest sides that GIF and WebP can store and that x264 accepts, pixels.
GIF_SIDE, WEBP_SIDE, MP4_SIDE = 65535, 16383, 16384
# Longest side of a film without a requested width, pixels: larger films are heavy to share.
DEFAULT_SIDE = 1024
# A GIF pixel is repainted once the squared difference summed over its channels (0..255) exceeds this. That is about
# the error of the palette itself, and halves the file.
TOLERANCE = 75
# Default alpha threshold of a GIF: the candidates, in 1/255, and the share of all pixels that is negligible.
THRESHOLDS, FEW = range(16, 65), 0.005
# 0..100: at least 40 dB at a tenth of a GIF's size.
WEBP_QUALITY = 82
# x264's constant rate factor.
MP4_CRF = 18
# Number of quality steps of files with a size limit. A step multiplies a GIF's tolerance by `GIF_STEP`, and changes the
# quality of WebP and the rate factor of MP4 by these amounts.
STEPS, GIF_STEP, WEBP_STEP, MP4_STEP = 4, 2.5, 18, 4


def export_gif(result: Result, path: Path, options: ExportOptions, step: int = 0) -> None:
    """Write a GIF: one palette, no dither, and only the pixels that changed; in quality `step`, 0 the best.

    Dither would defeat the compression and flicker. Frames without any change are merged into a longer one. GIF pixels
    are opaque or transparent: half-transparent ones are composited over the matte, faint ones are dropped. Single
    pixels cannot be erased, so on a transparent canvas each frame is complete and cleared before the next.
    """
    import imageio.v3 as iio

    frames = list(frames_of(result, options, side_max=GIF_SIDE))
    transparent = frames[-1].shape[2] == 4
    if transparent:
        threshold = _sparse_alpha(frames[-1]) if options.alpha_threshold is None else options.alpha_threshold
        for k, frame in enumerate(frames):  # in place: the frames may fill most of `MEMORY`
            frames[k] = _on_matte(frame, options.matte_or(WHITE), threshold)
    palette = Palette.of(frames)
    indices = palette.whole_frames(frames) if transparent else palette.film(frames, TOLERANCE * GIF_STEP**step)
    frames.clear()  # the encoder needs three copies of the indices, as much as the frames
    # Indices passed as grey values beside their palette are not quantised again.
    film = iio.imwrite(
        "<bytes>", indices, extension=".gif", mode="L", is_batch=True, palette=palette.as_bytes(),
        transparency=palette.transparent, disposal=2 if transparent else 1, duration=durations(options, 10),
        **_looping(options),
    )  # fmt: skip
    _write(film, path)


def export_webp(result: Result, path: Path, options: ExportOptions, step: int = 0) -> None:
    """Write a lossy animated WebP, a tenth of a GIF's size; in quality `step`, 0 the best."""
    frames = frames_of(result, options, side_max=WEBP_SIDE)
    _write_frames(frames, path, options, extension=".webp", quality=WEBP_QUALITY - WEBP_STEP * step, method=4)


def export_apng(result: Result, path: Path, options: ExportOptions) -> None:
    """Write an animated PNG with exact frames."""
    _write_frames(frames_of(result, options), path, options, extension=".png")


def _write_frames(frames: Iterator[Array], path: Path, options: ExportOptions, **encoder: Any) -> None:
    """Write complete frames with Pillow's encoder for an extension."""
    import imageio.v3 as iio

    stack = _stacked(frames, frame_count(options))
    film = iio.imwrite("<bytes>", stack, is_batch=True, duration=durations(options, 1), loop=options.loop, **encoder)
    _write(film, path)


def _on_matte(frame: Array, matte: tuple[float, float, float], threshold: float) -> Array:
    """Composite a frame over the matte, (H, W, 4) uint8; transparent where alpha is below the threshold (0..1)."""
    solid = np.empty_like(frame)
    solid[:, :, :3] = np.rint(flattened(frame / np.float32(255), matte) * 255)
    solid[:, :, 3] = np.where(frame[:, :, 3] >= 255 * threshold, 255, 0)
    return solid


def _sparse_alpha(frame: Array) -> float:
    """Return the least of `THRESHOLDS` with few pixels near it, 0..1.

    Soft shapes never draw an even alpha: a threshold near the alpha of a region would make it blotchy.
    """
    count = np.bincount(frame[:, :, 3].ravel(), minlength=256)
    near = np.array([count[level // 2 : 3 * level // 2].sum() for level in THRESHOLDS])
    return THRESHOLDS[int(np.argmax(near <= near.min() + FEW * count.sum()))] / 255


def _stacked(frames: Iterator[Array], count: int) -> Array:
    """Return the frames as one array without a second copy in memory."""
    first = next(frames)
    stack = np.empty((count, *first.shape), first.dtype)
    stack[0] = first
    for slot, frame in zip(stack[1:], frames, strict=True):
        slot[:] = frame
    return stack


def _write(film: bytes, path: Path) -> None:
    """Write a film that was encoded in memory; on a full disk imageio would write again while closing."""
    with whole_file(path) as file:
        file.write(film)


def need_encoder() -> None:
    """Require FFmpeg.

    Raises:
        BackendUnavailable: the extra `video` is not installed.
    """
    if find_spec("imageio_ffmpeg") is None:
        raise BackendUnavailable(
            "an .mp4 needs imageio-ffmpeg, which is not installed; try: pip install 'artpipe[video]'"
        )


def export_mp4(result: Result, path: Path, options: ExportOptions, step: int = 0) -> None:
    """Write an H.264 film with sides cropped to even numbers, in quality `step`; the result is held for `options.hold`.

    MP4 has no transparency: shapes are composited over the matte, or over the canvas's background without one.

    Raises:
        BackendUnavailable: the extra `video` is not installed.
    """
    need_encoder()
    import imageio.v3 as iio
    from imageio_ffmpeg import count_frames_and_secs

    frames = [_even_sides(frame) for frame in frames_of(result, options, flat=True, side_max=MP4_SIDE)]
    frames += frames[-1:] * round(options.hold * options.fps)  # the same array, without copies
    with whole_path(path) as temporary, warnings.catch_warnings():
        # JAX warns about forks; the child only executes the encoder.
        warnings.filterwarnings("ignore", message=r"os\.fork\(\)", category=RuntimeWarning)
        imopen: Any = iio.imopen  # its stubs lack FFMPEG
        with imopen(temporary, "w", plugin="FFMPEG") as file:
            file.write(
                iter(frames), is_batch=True, fps=options.fps, codec="libx264", quality=None, macro_block_size=2,
                output_params=["-crf", str(MP4_CRF + MP4_STEP * step), "-preset", "medium", "-movflags", "+faststart"],
            )  # fmt: skip
        try:
            written, _ = count_frames_and_secs(str(temporary))
        except RuntimeError:
            written = 0
        if written != len(frames):  # imageio does not report a failure of FFmpeg
            raise OSError("the encoder could not write it; is the disk full?")


def frame_count(options: ExportOptions) -> int:
    """Return the number of frames, the held last one included."""
    return max(2, round(options.seconds * options.fps))


def durations(options: ExportOptions, unit: int) -> list[int]:
    """Return how long each frame is shown, milliseconds in multiples of `unit`; rounding keeps the sum."""
    count = frame_count(options)
    ends = [round(1000 / options.fps * (k + 1) / unit) * unit for k in range(count)]
    ends[-1] += round(1000 * options.hold / unit) * unit
    return [max(unit, end - start) for start, end in zip([0, *ends], ends, strict=False)]


def frames_of(result: Result, options: ExportOptions, flat: bool = False, side_max: int = SIDE_MAX) -> Iterator[Array]:
    """Yield uint8 frames at an even visual pace, from the blank canvas to the result.

    Args:
        result: the painting.
        options: width, timing, matte, and `made_for`: a frame of its size is padded with the background.
        flat: whether to composite a transparent canvas over the matte, or over its background without one; always with
            `made_for`.
        side_max: longest side that the file format stores, pixels.

    Yields:
        (H, W, 3) each, or (H, W, 4) on a transparent canvas.

    Raises:
        InputError: the frames exceed `MEMORY` or `side_max`.
    """
    count = frame_count(options)
    canvas = result.scene.canvas
    flat = flat or options.post_size is not None
    width = options.width or _default_width(canvas, options.post_size)
    height = result.scene.scaled(width).canvas.height
    frame_width, frame_height = options.post_size or (width, height)
    if max(width, height) > side_max:
        raise InputError(
            f"frames are {width} x {height} pixels; this format takes at most {side_max} a side. "
            "Try a smaller --width, or .apng"
        )
    channels = 4 if canvas.transparent and not flat else 3
    if options.post_size is not None and count * frame_width * frame_height * channels > MEMORY:
        raise InputError(
            f"{count} frames of {frame_width} x {frame_height} pixels need too much memory. Try fewer --seconds"
        )
    if count * width * height * channels > MEMORY:
        fits = int((MEMORY / channels / count * width / height) ** 0.5)
        while fits and count * fits * result.scene.scaled(fits).canvas.height * channels > MEMORY:
            fits -= 1
        cure = f"--width {fits}" if fits else "fewer --seconds"
        raise InputError(f"{count} frames of {width} x {height} pixels need too much memory. Try {cure}")
    for scene in even_scenes(result, count):
        scaled = scene if (width, height) == (canvas.width, canvas.height) else scene.scaled(width, height)
        if flat and canvas.transparent:
            scaled = scaled.with_background(options.matte_or(canvas.background))
        frame = as_bytes(load_renderer("cpu").render(scaled) if flat else picture_of(scaled))
        yield frame if options.post_size is None else _padded(frame, options.post_size, scaled.canvas.background)


def _padded(frame: Array, size: tuple[int, int], colour: tuple[float, float, float]) -> Array:
    """Return the frame, (H, W, 3), in the middle of a larger one of this width and height."""
    padded = np.empty((size[1], size[0], 3), np.uint8)
    padded[:] = as_bytes(np.array(colour, np.float32))
    top, left = (size[1] - frame.shape[0]) // 2, (size[0] - frame.shape[1]) // 2
    padded[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
    return padded


def _default_width(canvas: Canvas, size: tuple[int, int] | None = None) -> int:
    """Return the largest width that fits this size; without one the canvas's, with no side above `DEFAULT_SIDE`."""
    if size is not None:
        share = min(size[0] / canvas.width, size[1] / canvas.height)
        return max(1, math.floor(canvas.width * share + 1e-6))
    longest = max(canvas.width, canvas.height)
    return canvas.width if longest <= DEFAULT_SIDE else max(1, round(canvas.width * DEFAULT_SIDE / longest))


def _even_sides(frame: Array) -> Array:
    """Crop odd sides by one pixel; a side of a single pixel is doubled."""
    for axis in (0, 1):
        length = frame.shape[axis]
        frame = np.repeat(frame, 2, axis) if length == 1 else np.take(frame, range(length // 2 * 2), axis)
    return frame


def _looping(options: ExportOptions) -> dict[str, Any]:
    """Return imageio's loop option: GIF counts repetitions after the first play, and omits the count for one play."""
    return {} if options.loop == 1 else {"loop": max(0, options.loop - 1)}
