"""Fits in PyTorch on any of its devices, with torch.optim."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..alpha import Backdrop
from ..base import FitSettings
from ..canvas import Canvas
from ..kernels.base import Kernel
from ..kernels.dense_torch import draw, squared_loss
from ..losses.objective import Objective
from .base import BaseFit, mean
from .row_adam_torch import RowAdam
from .rows import limited
from .torch_losses import TorchLosses

Array = np.ndarray[Any, Any]


class TorchFit(BaseFit):
    """See `base.Fit`. Its optimiser is `row_adam_torch.RowAdam`.

    Args:
        target: as for `BaseFit`; also canvas, settings and kernel.
        device: of the fit.
        memory_mb: limit of the drawing.
        pixels: the drawing of a chunk of pixels, maybe compiled.
        losses: opens the losses, on the same device.
    """

    losses: TorchLosses

    def __init__(
        self, target: Array, canvas: Canvas, settings: FitSettings, kernel: Kernel, device: torch.device,
        memory_mb: float, pixels: Callable[..., Any], losses: Callable[[Array | None], TorchLosses],
    ) -> None:  # fmt: skip
        super().__init__(target, canvas, settings, kernel, losses, str(device))
        self._memory_mb, self._pixels, self._device = memory_mb, pixels, device
        self._pixel_shares = torch.tensor(self.shares, device=self._device)
        self._write([np.zeros((0, self.parameters.width), np.float32)], canvas)

    def _write(self, slates: list[Array], canvas: Canvas) -> None:
        raw, *kept = slates
        p = self.parameters
        self._rates, self._low, self._high, self._slope = (
            torch.tensor(array, device=self._device) for array in (p.rates, p.low, p.high, p.slope)
        )
        self._radius = None if p.radius is None else torch.tensor(p.radius, device=self._device)
        self._kinds = torch.tensor(p.kinds, device=self._device)
        uniform = p.is_log.all(axis=1) | ~p.is_log.any(axis=1)
        self._log, self._logit = _runs(np.all(p.is_log, axis=1)), _runs(np.all(p.is_logit, axis=1))
        # Columns that are logarithmic in some primitives only.
        self._mixed = {int(k): torch.tensor(p.is_log[k], device=self._device) for k in np.flatnonzero(~uniform)}
        self._raw = torch.nn.Parameter(torch.tensor(raw.T.copy(), device=self._device))
        s = self.settings
        self._optimizer = RowAdam([self._raw], self._rates, s.beta1, s.beta2, s.epsilon)
        state = self._optimizer.state[self._raw]
        for key, slate in zip(state, kept, strict=False):
            state[key] = torch.tensor(slate.T.copy(), device=self._device)
        self._values = self._decode(self._raw.detach())

    def _read(self) -> list[Array]:
        tensors = [self._raw.detach(), *self._optimizer.state[self._raw].values()]
        return [tensor.cpu().numpy().T for tensor in tensors]

    def _set_rows(self, rows: Array) -> None:
        self._values = torch.tensor(rows.T.copy(), device=self._device)

    def _rows(self) -> Array:
        return self._values.t().contiguous().cpu().numpy()  # waits for the device

    def _decode(self, raw: torch.Tensor) -> torch.Tensor:
        """The values of raw parameters, both (P, N); each column computes only its own transform."""
        values = raw.clone()
        for run in self._log:
            values[run] = raw[run].exp()
        for run in self._logit:
            values[run] = raw[run].sigmoid()
        for k, is_log in self._mixed.items():
            values[k] = torch.where(is_log, torch.where(is_log, raw[k], 0.0).exp(), raw[k])
        return values

    def _step(self, scale: float, objective: Objective) -> float:
        loss, gradient = self._gradient(objective)
        self._raw.grad = gradient
        self._optimizer.param_groups[0]["rates"] = self._rates * scale
        self._optimizer.step()
        with torch.no_grad():
            torch.clamp(self._raw, self._low, self._high, out=self._raw)
            raw = self._raw.detach()
            moved = limited(torch, self.parameters.primitives, raw, self._kinds, self._radius)
            if moved is not raw:
                raw.copy_(moved)
            self._values = self._decode(self._raw)
        return loss

    def _gradient(self, objective: Objective) -> tuple[float, torch.Tensor]:
        """The loss and its gradient in the raw parameters. Raises FloatingPointError if they are not finite."""
        if self._raw.shape[1] == 0:  # the loss depends on no parameter
            return self.loss(objective=objective), torch.zeros_like(self._raw)
        raw = self._raw.detach().requires_grad_()
        rows, p = self._decode(raw).t(), self.parameters
        values = []
        for backdrop in self.backdrops:
            colour = backdrop.under(self.canvas).background
            background = torch.tensor(colour, dtype=self._raw.dtype, device=self._device)
            image = draw(rows, p.kinds, background, p.primitives, self.canvas, self._memory_mb, self._pixels)
            values.append(self._value(objective, image, backdrop))
        value = mean(values)
        gradient = torch.autograd.grad(value, raw)[0]
        if not bool(torch.isfinite(value) & torch.isfinite(gradient).all()):  # waits for the device
            raise FloatingPointError
        return value.item(), gradient

    def _value(self, objective: Objective, image: torch.Tensor, backdrop: Backdrop) -> torch.Tensor:
        """The loss of an image against the target over this backdrop, a scalar."""
        prepared = self._prepared_target(objective, backdrop)
        if objective.is_mse:
            return squared_loss(image, prepared, self._pixel_shares)
        return self.losses.value(objective, image, prepared, self._drawn(objective))


def _runs(mask: Array) -> list[slice]:
    """The runs of true values as slices: these make views, whereas indices copy and start threads."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return [slice(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]
