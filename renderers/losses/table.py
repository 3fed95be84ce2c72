"""The table of losses."""

from __future__ import annotations

from .base import Loss
from .l1 import L1
from .mse import MSE
from .oklab import OKLAB
from .ssim import SSIM

LOSSES: dict[str, Loss] = {loss.name: loss for loss in (MSE, L1, OKLAB, SSIM)}
"""Name to loss; the first is the default."""
