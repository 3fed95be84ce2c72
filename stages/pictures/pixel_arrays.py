"""Arrays as pictures: NumPy, JAX, PyTorch, and anything that converts to a NumPy array."""

from __future__ import annotations

from typing import Any

import numpy as np

from artpipe.renderers import InputError

Array = np.ndarray[Any, Any]

# Values may exceed 0..1 by this much, a few float32 roundings; they are clipped.
ROUNDING = 1e-6
NEEDED = "(H, W), (H, W, 3) or (H, W, 4), floats 0..1, uint8 or uint16"


def array_of(values: Any, argument: str) -> Array:
    """Numbers or booleans as a NumPy array.

    Args:
        values: an array, or anything that converts to one; PyTorch tensors may require gradients or be on a GPU.
        argument: its name, for messages.

    Raises:
        InputError: it is not an array of real numbers.
    """
    if np.ma.isMaskedArray(values):
        raise InputError(f"{argument} is a masked array; fill what is masked first (numpy.ma.filled)")
    try:
        for method in ("detach", "cpu"):
            values = getattr(values, method)() if hasattr(values, "__array__") and hasattr(values, method) else values
        array = np.asarray(values)
        if "float" in array.dtype.name and array.dtype.kind == "V":  # bfloat16 and the like, which NumPy lacks
            array = array.astype(np.float32)
    except Exception as error:  # each library raises its own
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{argument} is a {type(values).__name__} that cannot be read as an array: {reason}") from None
    if array.dtype.kind not in "biuf":
        what = type(values).__name__ if array.ndim == 0 else f"an array of {array.dtype}"
        raise InputError(f"{argument} is {what}; needs numbers")
    return array


def picture_of_array(values: Any, argument: str) -> Array:
    """(H, W, 3) float32, sRGB in 0..1, or with straight alpha (H, W, 4), of an array.

    Args:
        values: (H, W) or (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) or (H, W, 4). Floats in 0..1; uint8 and
            uint16 over their whole range; booleans.
        argument: its name, for messages.

    Raises:
        InputError: it has another shape or type, or a value out of range.
    """
    array = array_of(values, argument)
    _check_shape(array.shape, argument)
    planes = _in_unit_range(array, argument)
    planes = planes[:, :, None] if planes.ndim == 2 else planes
    if planes.shape[2] <= 2:
        planes = np.concatenate([np.repeat(planes[:, :, :1], 3, axis=2), planes[:, :, 1:]], axis=2)
    return planes


def _check_shape(shape: tuple[int, ...], argument: str) -> None:
    if 0 not in shape and (len(shape) == 2 or (len(shape) == 3 and shape[2] <= 4)):
        return
    hint = ""
    if len(shape) == 3 and shape[0] in (1, 2, 3, 4) and 0 not in shape:
        hint = f". Channels seem to come first: try numpy.moveaxis({argument}, 0, -1)"
    elif len(shape) == 4:
        hint = f". It seems to hold several pictures: try {argument}[0]"
    raise InputError(f"{argument} has shape {shape}; needs {NEEDED}{hint}")


def _in_unit_range(array: Array, argument: str) -> Array:
    """The values as float32 in 0..1."""
    if array.dtype == np.bool_:
        return array.astype(np.float32)
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    if array.dtype.kind in "iu":
        raise InputError(
            f"{argument} has dtype {array.dtype}, which does not define white; needs uint8 (white is 255), "
            "uint16 (65535) or floats (1)"
        )
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):  # a NaN makes both NaN
        at = tuple(int(index) for index in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{argument} has the value {array[at]} at {at}; needs finite floats, 0..1")
    if low < -ROUNDING or high > 1 + ROUNDING:
        cure = f"{argument} / 255" if low >= 0 and 1.5 < high <= 255 else f"numpy.clip({argument}, 0, 1)"
        raise InputError(f"{argument} has values from {low:g} to {high:g}; needs floats 0..1. Try {cure}")
    array = np.asarray(array, np.float32)
    return array if low >= 0 and high <= 1 else np.clip(array, 0, 1)
