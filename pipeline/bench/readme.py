"""What a bench says in plain words, and the README's section that says it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from artpipe.renderers import InputError
from artpipe.stages.formats.files import write_text

from .summary import (
    BASELINE,
    CHAMPION,
    COMPARISONS,
    HeadToHead,
    RendererDuel,
    Reproduction,
    Shortfall,
    head_to_head,
    in_order,
    is_better,
    names_of,
    not_won,
    ratio_of,
    renderer_duel,
    shortfalls_by_comparison,
    trials_of,
)
from .tables import markdown, markdown_text
from .trial import Trial

START, END = "<!-- results -->", "<!-- /results -->"
RENDERER_NAMES = {"jax": "JAX", "torch": "PyTorch"}
# What it may hold; of what growth does not win it tells as much as fits, and counts the rest.
SECTION_LINES = 35
WIDTH = 120
# Paintings that a sentence names; more are hinted at.
NAMED = 3


def update_readme(path: str | Path, text: str) -> None:
    """Puts the text between the marks `START` and `END` of a README.

    Raises:
        InputError: the README cannot be read, or does not hold the two marks, in this order, once each.
    """
    before, after = around_results(path)
    write_text(path, f"{before}{START}\n{text.strip()}\n{END}{after}")


def around_results(path: str | Path) -> tuple[str, str]:
    """What a README holds before and after its results.

    Raises:
        InputError: as of `update_readme`.
    """
    path = Path(path)
    try:
        old = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    before, start, rest = old.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end) or START in rest or END in before + after:
        raise InputError(f"{path} needs one line {START} and, below it, one line {END}; the results go between them")
    return before, after


def results_section(bench: Mapping[str, Any], contestants: Mapping[str, str]) -> str:
    """The README's section: machine, table, and in plain words what won and what did not. Markdown, under 35 lines."""
    trials = in_order(trials_of(bench), contestants)
    if not trials:
        return "The bench holds no trial yet.\n"
    parts = [
        _paragraph(f"{scope_sentence(bench, trials)} {machine_sentence(bench)}"),
        markdown(trials, contestants).strip(),
        _paragraph(
            "Loss is 4 x MSE on values in 0..1, a mean over paintings ± the standard deviation over seeds; seconds are "
            "of fitting alone."
        ),
        _paragraph(" ".join(headline_sentences(trials))),
    ]
    text = "\n\n".join(filter(None, parts)) + "\n\n"
    short = shortfall_sentences(trials)
    if not short:
        return text + _paragraph(f"There is no comparison here that {CHAMPION} does not win.") + "\n"
    text += f"**Where {CHAMPION} does not win.**\n\n"
    for told, sentence in enumerate(short):
        line = _paragraph(f"- {markdown_text(sentence)}", "  ", plain=False) + "\n"
        if told and (text + line).count("\n") >= SECTION_LINES:
            return f"{text}- The rest of these comparisons ({len(short) - told}) stand in `report.html`.\n"
        text += line
    return text


def _paragraph(text: str, indent: str = "", plain: bool = True) -> str:
    text = markdown_text(text) if plain else text
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


# ---------------------------------------------------------------- sentences


def headline_sentences(trials: Sequence[Trial]) -> list[str]:
    """What won by how much, against the baseline and the tuned fixed count; and JAX against PyTorch."""
    found = []
    for renderer in names_of(trials, "renderer"):
        found += [duel_sentence(duel) for duel in main_duels(trials, renderer)]
    renderers = most_telling_duel(trials)
    if renderers is not None:
        found.append(renderer_sentence(renderers))
    return found


def main_duels(trials: Sequence[Trial], renderer: str) -> list[tuple[HeadToHead, HeadToHead | None]]:
    """Growth against the baseline, and against the tuned fixed count, each with their seconds.

    The fixed count that was given growth's seconds is compared at the end, since it planned for that; without it the
    other one is, at equal seconds.
    """
    found = []
    for rivals in ((BASELINE,), ("fixed-seconds", "fixed")):
        for rival in rivals:
            axis = "seconds" if rival == "fixed" else "end"
            duel = head_to_head(trials, CHAMPION, rival, renderer, axis)
            if duel is not None:
                time = head_to_head(trials, CHAMPION, rival, renderer, "time")
                found.append((duel, time if axis == "end" else None))
                break
    return found


def most_telling_duel(trials: Sequence[Trial]) -> RendererDuel | None:
    """JAX against PyTorch on growth; without growth, on the first contestant that ran on both."""
    names = sorted(names_of(trials, "contestant"), key=lambda name: name != CHAMPION)
    duels = (renderer_duel(trials, name) for name in names)
    return next((duel for duel in duels if duel is not None), None)


def duel_sentence(duel_and_time: tuple[HeadToHead, HeadToHead | None]) -> str:
    """One of `main_duels` in a sentence."""
    duel, time = duel_and_time
    renderer = RENDERER_NAMES.get(duel.renderer, duel.renderer)
    if time is None:
        what = f"has, at equal seconds, {share_text(duel.ratio)} of the loss of {duel.second}{_spread_text(duel)}"
    else:
        what = f"ends at {share_text(duel.ratio)} of the loss of {duel.second}{_spread_text(duel)}"
        what += f", in {share_text(time.ratio)} of its seconds"
    return f"On {renderer}, {duel.first} {what}: lower on {len(duel.won)} of {_paintings(len(duel.values))}."


def renderer_sentence(duel: RendererDuel) -> str:
    """Two renderers in a sentence."""
    first, second = (RENDERER_NAMES.get(name, name) for name in (duel.first, duel.second))
    spread = "" if duel.spread is None else f" ± {duel.spread:.2f}"
    return (
        f"{second} takes {duel.seconds_ratio:.2f}{spread} times the seconds a step of {first} "
        f"({duel.contestant}; {duel.lowest:.2f} to {duel.highest:.2f} over {duel.pairs} pairs of trials) and ends at "
        f"{duel.loss_ratio:.3f} times its loss."
    )


def shortfall_sentences(trials: Sequence[Trial], champion: str = CHAMPION) -> list[str]:
    """One sentence for each rival and comparison in which the champion does not win everywhere, on any renderer."""
    clauses: dict[tuple[str, str], list[str]] = {}
    for group in shortfalls_by_comparison(not_won(trials, champion)):
        found = group[0]
        duel = head_to_head(trials, champion, found.rival, found.renderer, found.axis)
        if duel is not None:
            short = [short for short in group if short.painting is not None]
            clauses.setdefault((found.rival, found.axis), []).append(_shortfall_clause(duel, short))
    return [
        f"{_capital(COMPARISONS[axis].words)}: {rival} is as good or better on {', and on '.join(found)}."
        for (rival, axis), found in clauses.items()
    ]


def _shortfall_clause(duel: HeadToHead, short: Sequence[Shortfall]) -> str:
    """On how many paintings, which, by how much; and the means if they are lost too."""
    renderer = RENDERER_NAMES.get(duel.renderer, duel.renderer)
    lost = "" if is_better(duel.axis, *duel.means) else "the mean too: " if short else "the mean: "
    if lost:
        values = [value_text(duel.axis, value) for value in duel.means]
        lost += f"{values[1]}, {duel.first} {values[0]}"
    if not short:
        return f"{lost} ({renderer})"
    details = []
    if len(short) < len(duel.values):
        details.append(", ".join(found.painting or "" for found in short[:NAMED]) + ", …" * (len(short) > NAMED))
    worst = share_of_gap(duel.axis, max(short, key=lambda found: _gap(duel.axis, found)))
    details += [f"by {worst} at most" if len(short) > 1 else f"by {worst}", lost]
    return f"{len(short)} of {_paintings(len(duel.values))} ({renderer}; {'; '.join(filter(None, details))})"


def _gap(axis: str, found: Shortfall) -> float:
    """By what share the champion's value is the worse one."""
    pair = (found.rivals_value, found.value) if COMPARISONS[axis].higher_wins else (found.value, found.rivals_value)
    return ratio_of(*pair) - 1


def share_of_gap(axis: str, found: Shortfall) -> str:
    """The same in words: `4 %`, or `3.1 times`."""
    gap = _gap(axis, found)
    if gap < 1:
        return f"{100 * gap:.{1 if gap < 0.1 else 0}f} %"
    return f"{gap + 1:.3g} times"


def reproduction_sentence(found: Reproduction) -> str:
    """How near the baseline is to what was published."""
    worst = max(found.deviations, key=lambda name: abs(found.deviations[name]))
    return (
        f"Against the published losses the baseline's mean is {100 * found.deviation_of_mean:+.1f} % over "
        f"{_paintings(len(found.values))}; the farthest is {worst} with {100 * found.deviations[worst]:+.1f} %."
    )


def scope_sentence(bench: Mapping[str, Any], trials: Sequence[Trial]) -> str:
    """What was run: paintings, seeds, circles, size, preset."""
    options = bench.get("options", {})
    seeds = len(names_of(trials, "seed"))
    words = [_paintings(len(names_of(trials, "painting"))), f"{seeds} seed{'s' * (seeds != 1)}"]
    if options.get("count"):
        words.append(f"{options['count']} circles")
    if options.get("size"):
        words.append(f"size {options['size']}")
    if options.get("preset"):
        words.append(f"preset {options['preset']}")
    return f"{', '.join(words)}."


def machine_sentence(bench: Mapping[str, Any]) -> str:
    """Where it ran: processor, cores, GPU, load, versions."""
    machine = bench.get("machine", {})
    cores = machine.get("cores")
    packages = ", ".join(f"{name} {version}" for name, version in machine.get("packages", {}).items())
    load = machine.get("load")
    words = [
        str(machine.get("cpu") or "unknown processor"),
        f"{cores} core{'s' * (cores != 1)}" if cores else "",
        str(machine.get("gpu") or "no GPU"),
        "" if load is None else f"load {load:.1f} before the bench",
    ]
    versions = "; ".join(filter(None, [f"Python {machine['python']}" if machine.get("python") else "", packages]))
    return f"{', '.join(filter(None, words))}.{f' {versions}.' if versions else ''}"


def share_text(ratio: float) -> str:
    """A ratio as people say it: `1/9.8`, `83 %`, `1.4 times`."""
    if ratio <= 0:
        return "nothing"
    if ratio < 0.4:
        return f"1/{1 / ratio:.{1 if ratio > 0.01 else 0}f}"
    return f"{100 * ratio:.0f} %" if ratio < 2 else f"{ratio:.3g} times"


def _spread_text(duel: HeadToHead) -> str:
    if duel.spread is None:
        return ""
    if duel.ratio < 0.4:
        return f" ({duel.ratio:.3f} ± {duel.spread:.3f} over {duel.seeds} seeds)"
    return f" (± {100 * duel.spread:.1f} % over {duel.seeds} seeds)"


def value_text(axis: str, value: float) -> str:
    """A value of a comparison in its own unit."""
    if axis in ("ssim", "lpips"):
        return f"{value:.3f}"
    return f"{value:.2f} s" if axis == "time" else f"{1e3 * value:.2f} / 1000"


def _paintings(count: int) -> str:
    return f"{count} painting{'s' * (count != 1)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
