"""Options of benches and sweeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from artpipe.renderers import FITTING_RENDERERS, InputError
from artpipe.renderers.options import check_options, documented, option, option_of
from artpipe.stages.limits import SECONDS_MAX
from artpipe.stages.pictures.sizes import parse_size

from ..options import RunConfig
from .contestants import CONTESTANTS, USUAL, Contestant, under, varied
from .machine import installed_renderers
from .optimisers import OPTIMISERS

TRIALS_MAX = 1_000_000


def _size(name: str, value: Any) -> str:
    del name
    parse_size(value)
    return str(value)


@documented
@dataclass(frozen=True)
class BenchOptions:
    """What a bench measures."""

    # fmt: off
    count: int = option_of(RunConfig, "count", default=512, flags=("-n", "--max", "--circles"), group="")
    shape: str = option_of(RunConfig, "shape", group="")
    size: str = option("128", "Canvas in pixels.", check=_size, metavar="N|WxH")
    baseline_steps: int = option(512, "Steps of the baseline.", low=1, high=TRIALS_MAX)
    preset: str = option_of(RunConfig, "preset", help="Of growth and the tuned fixed count.", group="")
    trials: int = option(1, "Random seeds for each painting.", low=1, high=TRIALS_MAX)
    renderers: tuple[str, ...] = option(
        installed_renderers, "Framework; may be given again.", unset="those installed",
        choices=FITTING_RENDERERS, flags=("--renderer",))
    contestants: tuple[str, ...] = option(
        USUAL, "Contestant; may be given again.", choices=CONTESTANTS, flags=("--contestant",), metavar="KEY")
    vary: tuple[str, ...] = option(
        (), "Additional contestant: growth with these options, such as rates.position=1.", unset="none",
        metavar="NAME=VALUE,…")
    optimisers: tuple[str, ...] = option(
        (), "Additional contestant: the fixed count under this optimiser; lion and adabelief in JAX only.",
        unset="none", choices=OPTIMISERS, flags=("--optimizer",))
    # fmt: on

    def __post_init__(self) -> None:
        check_options(self)
        if "fixed-seconds" in self.contestants and not {"fixed", "growth"} <= set(self.contestants):
            raise InputError("fixed-seconds needs the seconds of the contestants fixed and growth; add both")
        self.config(FITTING_RENDERERS[0], 0)
        if not self.competing:
            raise InputError(f"there is no contestant; choose some of {', '.join(CONTESTANTS)}")

    @property
    def competing(self) -> dict[str, Contestant]:
        """All contestants by key, in the order of the tables."""
        return {
            **{key: CONTESTANTS[key] for key in CONTESTANTS if key in self.contestants},
            **dict(under(name, self.renderers) for name in self.optimisers),
            **dict(map(varied, self.vary)),
        }

    def config(self, renderer: str, seed: int) -> RunConfig:
        """Options of the contestant `growth`."""
        common = {name: getattr(self, name) for name in ("count", "shape", "size", "preset")}
        return RunConfig(**common, growth=max(1, self.count // 8), renderer=renderer, seed=seed)


FULL = BenchOptions(count=2048, size="256x256", baseline_steps=4096)
"""At the size of the seed project's published figures."""


@documented
@dataclass(frozen=True)
class SweepOptions:
    """How long a sweep searches, and how it measures a trial."""

    # fmt: off
    trials: int = option(20, "Trials in all, over all processes in this folder.", low=1, high=TRIALS_MAX)
    repeats: int = option(1, "Random seeds for each picture in a trial.", low=1, high=TRIALS_MAX)
    budget_seconds: float | None = option(
        None, "Give up settings that fit a picture for longer than this.", unset="none", unit="seconds",
        above=0, high=SECONDS_MAX)
    # fmt: on

    def __post_init__(self) -> None:
        check_options(self)
