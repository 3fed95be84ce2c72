"""Adam with bias correction per row, as a `torch.optim.Optimizer`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class RowAdam(torch.optim.Optimizer):
    """Adam with bias correction per row, so that new rows start with full steps.

    Parameters are stored column by column, (P, N) for N rows of P columns: values of one column are then adjacent,
    which halves the time of a step. The state of each is `mean` and `square`, (P, N), the running means of gradients
    and squared gradients, and `weight`, (2, N), the same two means of the number 1, the divisors of Adam's bias
    correction.

    Args:
        parameters: tensors of shape (P, N).
        rates: learning rates, a tensor that broadcasts against (P, N).
        beta1: decay of the mean.
        beta2: decay of the mean square.
        epsilon: added to the root.

    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015, algorithm 1. There the correction
    is 1 - beta^t with one t for all rows; here each row stores it as the running mean of ones, which is equal.
    """

    def __init__(
        self,
        parameters: list[torch.nn.Parameter],
        rates: torch.Tensor,
        beta1: float = 0.9,
        beta2: float = 0.9,
        epsilon: float = 1e-12,
    ) -> None:
        super().__init__(parameters, {"rates": rates, "beta1": beta1, "beta2": beta2, "epsilon": epsilon})
        for group in self.param_groups:
            for parameter in group["params"]:
                zeros = torch.zeros_like(parameter)
                # (2, 1): weight of a new value in the running means.
                shares = torch.tensor([[1 - beta1], [1 - beta2]], dtype=parameter.dtype, device=parameter.device)
                group.update(shares=shares, one=torch.ones_like(shares))
                self.state[parameter] = {"weight": zeros[:1].repeat(2, 1), "mean": zeros, "square": zeros.clone()}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient; returns the result of `closure`, if given."""
        value = None
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        for group in self.param_groups:
            beta1, beta2 = group["beta1"], group["beta2"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state, gradient = self.state[parameter], parameter.grad
                weight = state["weight"].lerp_(group["one"], group["shares"])
                mean = state["mean"].lerp_(gradient, 1 - beta1)
                square = state["square"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
                root = torch.sqrt(square / weight[1:]).add_(group["epsilon"]).mul_(weight[:1])
                parameter.addcmul_(mean / root, group["rates"], value=-1)
        return value
