"""Losses of pictures and their gradients, computed by PyTorch."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from ..losses.objective import Objective

Array = np.ndarray[Any, Any]


class TorchLosses:
    """See `base.Losses`.

    Args:
        device: where they are computed.
        weights: (H, W) float32 with a mean of 1; None if all are equal.
        beside: entered while they are computed, such as `ONE_THREAD`.
    """

    def __init__(self, device: torch.device, weights: Array | None, beside: AbstractContextManager[None]) -> None:
        self.device = device
        self.weights = None if weights is None else torch.tensor(weights, device=device)
        self._beside = beside

    def prepare(self, objective: Objective, target: Array) -> Any:
        """See `base.Losses.prepare`."""
        return objective.prepare(torch, torch.tensor(target, device=self.device))

    def by_image(self, objective: Objective, image: Array, prepared: Any, drawn: Array | None) -> tuple[float, Array]:
        """See `base.Losses.by_image`."""
        with self._beside:
            leaf = torch.from_numpy(image).to(self.device).requires_grad_()
            value = self.value(objective, leaf, prepared, drawn)
            return value.item(), torch.autograd.grad(value, leaf)[0].cpu().numpy()

    def value(self, objective: Objective, image: torch.Tensor, prepared: Any, drawn: Array | None) -> torch.Tensor:
        """The loss of an image, (H, W, 3), a scalar.

        Raises:
            InputError: it is no scalar, or does not depend on the image.
        """
        random = None if drawn is None else torch.tensor(drawn, device=self.device)
        value = torch.as_tensor(objective.value(torch, image, prepared, self.weights, random))
        if value.ndim or not value.is_floating_point():
            shape = tuple(value.shape)
            raise InputError(f"the loss returned {value.dtype} of shape {shape}; needs a floating-point scalar")
        if image.requires_grad and not value.requires_grad:
            raise InputError("the loss does not depend on the image through PyTorch operations, so it has no gradient")
        return value


class _OneThread:
    """Context in which PyTorch uses one thread, for work beside the CPU kernel.

    After each parallel operation PyTorch's OpenMP threads spin on the cores that the kernel needs (a step took 4 ms
    instead of 1.5), and sums of several threads differ in the last bits. Afterwards the previous count is restored. It
    is global to the process, so the first thread to enter saves it for all.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Resets to no thread inside."""
        self._lock = threading.Lock()
        self._inside = 0
        self._before = 1

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = torch.get_num_threads()
            self._inside += 1
            torch.set_num_threads(1)
            torch.get_num_threads()  # until the first call in a thread, its count follows that of the process

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            torch.set_num_threads(self._before)  # also restores the count of the calling thread


ONE_THREAD = _OneThread()


def _use_one_thread_in_child() -> None:
    """Restricts a forked child to one thread: PyTorch's threads do not exist there, and it would wait for them."""
    ONE_THREAD.reset()  # another thread may have held the lock
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread_in_child)
