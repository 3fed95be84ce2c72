"""The report: one HTML file, without script or network, that tells a sceptic what the bench measured."""

from __future__ import annotations

import base64
import html
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image

from artpipe.stages.formats.files import write_text

from .plots import COLOURS, SOLID, bars_svg, colours_of, lines_svg, loss_chart
from .readme import (
    RENDERER_NAMES,
    headline_sentences,
    machine_sentence,
    main_duels,
    reproduction_sentence,
    scope_sentence,
    share_text,
    shortfall_sentences,
    value_text,
)
from .summary import (
    ABOVE,
    BASELINE,
    CHAMPION,
    COMPARISONS,
    Figure,
    HeadToHead,
    Reach,
    RendererDuel,
    Reproduction,
    Shortfall,
    by_painting,
    head_to_heads,
    in_order,
    is_better,
    names_of,
    not_won,
    reaches,
    reference_of,
    renderer_duel,
    reproduction,
    summarise,
    trials_of,
)
from .tables import UNKNOWN, figure_text, known_columns, number_text
from .trial import Trial

# Pictures are shown at a few hundred pixels; WebP of this quality is a tenth of their PNG, and its artefacts are far
# below those of the circles.
PICTURE_SIDE, PICTURE_QUALITY = 512, 86
TITLE = "Growth against the fixed count"
# Sentences on what growth does not win that stand on top; the rest are counted there.
SHORTFALLS_ON_TOP = 8

Cell = str | tuple[str, str]  # HTML, or HTML and the cell's class
# Width and height of charts where they stand side by side or the window is narrow.
_NARROW = (340, 250)


def write_report(
    folder: str | Path,
    bench: Mapping[str, Any],
    contestants: Mapping[str, str],
    published: Mapping[str, float] | None = None,
) -> None:
    """Writes `report.html` into the bench's folder.

    Args:
        folder: where the file goes, and the pictures lie that the trials name. One that is missing is left out.
        bench: what `bench.json` holds.
        contestants: for each key, in the order of tables and colours, a sentence that says what it is.
        published: for paintings that were published, the seed_loss that the baseline should reproduce.

    Raises:
        InputError: the bench is no bench, or the file cannot be written.
    """
    folder = Path(folder)
    trials = in_order(trials_of(bench), contestants)
    parts = {
        "title": _text(TITLE),
        "scope": _text(scope_sentence(bench, trials)),
        "machine": _text(machine_sentence(bench)),
        "light": " ".join(f"--c{k}: {light};" for k, (light, _) in enumerate(COLOURS)),
        "dark": " ".join(f"--c{k}: {dark};" for k, (_, dark) in enumerate(COLOURS)),
        "classes": "\n".join(f".c{k} {{ color: var(--c{k}); }}" for k in range(len(COLOURS))),
        "body": _body(bench, trials, contestants, folder, published or {})
        if trials
        else "<p>The bench holds no trial yet.</p>",
    }
    template = files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    # In one pass, so that a painting's name may hold what looks like a place to fill in.
    page = re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], template)
    # A file's name can hold bytes that are no UTF-8.
    write_text(folder / "report.html", page.encode(errors="replace").decode())


def _body(
    bench: Mapping[str, Any],
    trials: Sequence[Trial],
    contestants: Mapping[str, str],
    folder: Path,
    published: Mapping[str, float],
) -> str:
    colours = colours_of([*contestants, *names_of(trials, "contestant")])
    sections = (
        _verdicts(trials),
        _contestants(trials, contestants, colours),
        _means(trials),
        _charts(trials, colours),
        _pictures(trials, folder, colours),
        _duels(trials),
        _paintings(trials),
        _reaches(trials),
        _renderers(trials),
        _published(reproduction(trials, published)),
        _shortfalls(trials),
        _machine(bench),
    )
    return "\n".join(filter(None, sections))


def _text(value: object) -> str:
    """Text as HTML shows it."""
    return html.escape(str(value))


def _section(title: str, *parts: str) -> str:
    return "\n".join([f"<section>\n<h2>{title}</h2>", *filter(None, parts), "</section>"])


def _table(headings: Sequence[str], rows: Iterable[Sequence[Cell]], left: int = 1, kind: str = "") -> str:
    """A table of HTML cells; the `left` first columns are words, and the first heads its row."""
    words = [' class="left"' if k < left else "" for k in range(len(headings))]
    head = "".join(f'<th scope="col"{words[k]}>{heading}</th>' for k, heading in enumerate(headings))
    lines = []
    for row in rows:
        cells = [(cell, "") if isinstance(cell, str) else cell for cell in row]
        tags = [f'<th scope="row" class="left">{cells[0][0]}</th>']
        for k, (cell, name) in enumerate(cells[1:], 1):
            shown = " ".join(filter(None, ["left" if k < left else "", name]))
            tags.append(f'<td class="{shown}">{cell}</td>' if shown else f"<td>{cell}</td>")
        lines.append(f"<tr>{''.join(tags)}</tr>")
    head = f"<thead><tr>{head}</tr></thead>" if any(headings) else ""
    table = f'<table class="{kind}">{head}<tbody>{"".join(lines)}</tbody></table>'
    return f'<div class="wide" tabindex="0" role="group" aria-label="Table">{table}</div>'


def _meanings(pairs: Iterable[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{_text(word)}</dt><dd>{_text(meaning)}</dd>" for word, meaning in pairs)
    return f'<dl class="meanings">{items}</dl>'


def _renderer(name: str) -> str:
    return _text(RENDERER_NAMES.get(name, name))


# ---------------------------------------------------------------- what won, and what did not


def _verdicts(trials: Sequence[Trial]) -> str:
    tiles = [
        f'<div class="tile"><b>{_text(figure)}</b><span>{_text(words)}</span></div>' for figure, words in _tiles(trials)
    ]
    won = headline_sentences(trials) or [
        "There is nothing to compare yet: growth, or what it competes with, has not run."
    ]
    boxes = [_verdict("", "What was measured", won)]
    if head_to_heads(trials):
        short = shortfall_sentences(trials)
        if len(short) > SHORTFALLS_ON_TOP:
            rest = f"The rest of these comparisons ({len(short) - SHORTFALLS_ON_TOP}) stand at the end, with all rows."
            short = [*short[:SHORTFALLS_ON_TOP], rest]
        boxes.append(_verdict("against", "Where growth does not win", short or ["There is no such comparison here."]))
    top = f'<div class="tiles">{"".join(tiles)}</div>' if tiles else ""
    return f'{top}<div class="verdicts">{"".join(boxes)}</div>'


def _verdict(kind: str, title: str, sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences)
    return f'<div class="verdict {kind}"><h3>{title}</h3><ul>{items}</ul></div>'


def _tiles(trials: Sequence[Trial]) -> list[tuple[str, str]]:
    """The few figures that stand on top."""
    found = []
    renderer = SOLID if SOLID in names_of(trials, "renderer") else next(iter(names_of(trials, "renderer")), SOLID)
    name = RENDERER_NAMES.get(renderer, renderer)
    for duel, time in main_duels(trials, renderer):
        when = "at equal seconds" if time is None else "at the end"
        seconds = "" if time is None or duel.second == BASELINE else f", in {share_text(time.ratio)} of its seconds"
        found.append((_times(duel.ratio), f"the loss of {duel.second} {when}{seconds}; {name}, {_won(duel)}"))
        if time is not None and duel.second == BASELINE:
            found.append((_times(time.ratio), f"the seconds of {duel.second}, {name}"))
    renderers = renderer_duel(trials, CHAMPION)
    if renderers is not None:
        found.append((_times(renderers.seconds_ratio), "the seconds of JAX for a step of growth in PyTorch"))
    return found


def _times(ratio: float) -> str:
    return f"× {ratio:.2f}" if ratio >= 0.1 else f"× {ratio:.3f}"


def _won(duel: HeadToHead) -> str:
    return f"better on {len(duel.won)}\u00a0of\u00a0{len(duel.values)}"


def _contestants(trials: Sequence[Trial], contestants: Mapping[str, str], colours: Mapping[str, int]) -> str:
    rows = [
        (f'<span class="swatch c{colours[name]}"></span>{_text(name)}', _text(contestants.get(name, "")))
        for name in names_of(trials, "contestant")
    ]
    return _section("Who took part", _table(["", ""], rows, left=2, kind="facts"))


# ---------------------------------------------------------------- means, charts, pictures


def _means(trials: Sequence[Trial]) -> str:
    rows = summarise(trials)
    columns = known_columns(rows)
    headings = ["contestant", "renderer", *(_text(column.heading) for column in columns)]
    seeds = len(names_of(trials, "seed"))
    spread = (
        f"± is the standard deviation over the {seeds} seeds of each seed's mean over the paintings."
        if seeds > 1
        else "There was one seed, so how far chance moves these figures is not known."
    )
    paintings = len(names_of(trials, "painting"))
    part = [f"{row.contestant} on {row.renderer} ({row.paintings})" for row in rows if row.paintings < paintings]
    uneven = f" Not all ran every painting, and their means are of fewer: {_text(', '.join(part))}." if part else ""
    return _section(
        "The figures",
        f'<p class="note">Means over the paintings. {spread}{uneven}</p>',
        _table(
            headings,
            [
                [_text(row.contestant), _renderer(row.renderer), *(column.text(row) for column in columns)]
                for row in rows
            ],
            left=2,
        ),
        _meanings((column.heading, column.meaning) for column in columns),
    )


def _charts(trials: Sequence[Trial], colours: Mapping[str, int]) -> str:
    key = "".join(
        f'<li class="c{colours[name]}"><span class="swatch"></span><span class="ink">{_text(name)}</span></li>'
        for name in names_of(trials, "contestant")
    )
    if len(names_of(trials, "renderer")) > 1:
        key += "".join(
            f'<li><svg width="30" height="8" aria-hidden="true"><path d="M1 4H29" stroke="currentColor" '
            f'stroke-width="2"{dashes}/></svg>{_renderer(name)}</li>'
            for name in names_of(trials, "renderer")
            for dashes in ["" if name == SOLID else ' stroke-dasharray="5 5"']
        )
    key = f'<ul class="key">{key}</ul>'
    figures = []
    for axis, words in (
        ("seconds", "Lower and further left is better. A curve that ends early is one that was done early."),
        (
            "circles",
            "The best loss that was had with at most so many circles; a contestant with a fixed count is a dot.",
        ),
        ("pairs", "The same against the work done, which does not depend on the machine or on what else it did."),
    ):
        chart = loss_chart(trials, axis)
        if chart.lines:
            narrow = lines_svg(chart, colours, *_NARROW, labelled=False)
            figures.append(_figure(chart.title, lines_svg(chart, colours), narrow, words))
    small = ""
    paintings = names_of(trials, "painting")
    if len(paintings) > 1:
        charts = [loss_chart([t for t in trials if t.painting == name], "seconds", name) for name in paintings]
        drawn = "".join(
            f"<figure><h3>{_text(chart.title)}</h3>{lines_svg(chart, colours, *_NARROW, labelled=False)}</figure>"
            for chart in charts
            if chart.lines
        )
        title = "Loss × 1000 over seconds, each painting"
        small = f'<h3 class="later">{title}</h3>{key}<div class="small">{drawn}</div>'
    rows = summarise(trials)
    bars = _figure(
        "Mean loss × 1000",
        bars_svg(rows, colours),
        bars_svg(rows, colours, _NARROW[0], names_above=True),
        "Whiskers: ± one standard deviation over seeds.",
    )
    note = (
        '<p class="note">The best loss so far, × 1000; a geometric mean over paintings and seeds, both axes '
        "logarithmic. A loss counts only while no more circles stood than at the end: the search of growth works "
        "on a larger pool, and that picture could not be kept. This is why its curve rests, and falls when the "
        "pool has shrunk; the faint curve counts the pool too. The start is where the last run of a group had "
        "drawn its first picture; a run that is over keeps its last loss.</p>"
    )
    return _section("How it went", note, key, bars, *figures, small)


def _figure(title: str, chart: str, narrow: str, words: str) -> str:
    """A chart, and the one that is shown in its place where the window is narrow."""
    charts = f'<div class="wide">{chart}</div><div class="narrow">{narrow}</div>'
    return f"<figure><h3>{_text(title)}</h3>{charts}<figcaption>{words}</figcaption></figure>"


def _pictures(trials: Sequence[Trial], folder: Path, colours: Mapping[str, int]) -> str:
    walls = []
    for painting in names_of(trials, "painting"):
        shown: dict[str, Trial] = {}
        for trial in trials:  # of the first renderer and seed
            if trial.painting == painting and trial.images:
                shown.setdefault(trial.contestant, trial)
        pictures = [_picture(trial, folder, colours) for trial in shown.values()]
        targets = (_image(folder, trial.images.get("target"), f"{painting}, the target") for trial in shown.values())
        target = next(filter(None, targets), None)
        if target is None and not any(pictures):
            continue
        first = f'<figure>{target or _MISSING}<figcaption class="target"><b>target</b></figcaption></figure>'
        walls.append(
            f'<div class="broad"><h3>{_text(painting)}</h3><div class="wall">{first}{"".join(pictures)}</div></div>'
        )
    if not walls:
        return ""
    note = (
        '<p class="note">The target, then what each contestant ended with, and small below it what it began with; loss '
        f"is × 1000. One seed of each, on {_renderer(trials[0].renderer)} if it ran there. WebP of high quality: the "
        "files beside this report are exact.</p>"
    )
    return _section("The pictures", note, *walls)


_MISSING = '<div class="missing">no picture</div>'


def _picture(trial: Trial, folder: Path, colours: Mapping[str, int]) -> str:
    who = f"{trial.painting}, {trial.contestant}"
    final = _image(folder, trial.images.get("final"), f"{who}, the end")
    initial = _image(folder, trial.images.get("initial"), f"{who}, the beginning")
    if final is None and initial is None:
        return ""
    words = (
        f'<b><span class="swatch c{colours[trial.contestant]}"></span>{_text(trial.contestant)}</b>'
        f"{number_text(trial.psnr)} dB<br>loss {number_text(trial.seed_loss * 1e3)}<br>"
        f"{number_text(trial.fit_seconds, 1)} s"
    )
    return (
        f'<figure>{final or _MISSING}<div class="began">{initial or ""}<figcaption>{words}</figcaption></div></figure>'
    )


def _image(folder: Path, name: str | None, words: str) -> str | None:
    """An `img` that holds the picture itself; None if the folder has no such picture."""
    path = folder / (name or "")
    if not name or not path.resolve().is_relative_to(folder.resolve()):
        return None
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=PICTURE_QUALITY, method=6)
    uri = f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"
    return f'<img src="{uri}" width="{picture.width}" height="{picture.height}" alt="{_text(words)}">'


# ---------------------------------------------------------------- comparisons


def _duels(trials: Sequence[Trial]) -> str:
    duels = head_to_heads(trials)
    if not duels:
        return ""
    axes = [axis for axis in COMPARISONS if any(duel.axis == axis for duel in duels)]
    table: dict[tuple[str, str], dict[str, HeadToHead]] = {}
    for duel in duels:
        table.setdefault((duel.second, duel.renderer), {})[duel.axis] = duel
    rows = [
        [_text(rival), _renderer(renderer), *(_duel_cell(found.get(axis)) for axis in axes)]
        for (rival, renderer), found in table.items()
    ]
    return _section(
        "Growth against each, on fair axes",
        "<p class=\"note\">Growth's value divided by the rival's, both means over the paintings that both ran with "
        "the same seeds; ± over seeds; below it, on how many paintings growth is better. Under 1 growth wins, "
        'with SSIM over 1. In <span class="sign">this colour</span>: growth does not win on the mean. Where the '
        "longer run is cut, it had planned its learning rates for more, and growth may be amid its search, when "
        "what it had before counts; the fixed count that planned for growth's seconds is "
        "<code>fixed-seconds</code>.</p>",
        _table(["rival", "renderer", *(_text(COMPARISONS[axis].words) for axis in axes)], rows, left=2),
        _meanings((COMPARISONS[axis].words, COMPARISONS[axis].meaning) for axis in axes),
    )


def _duel_cell(duel: HeadToHead | None) -> Cell:
    if duel is None:
        return UNKNOWN
    spread = "" if duel.spread is None else f" <small>± {duel.spread:.3f}</small>"
    text = f"{number_text(duel.ratio, 3)}{spread}<br><small>{len(duel.won)} of {len(duel.values)}</small>"
    return text, "" if is_better(duel.axis, *duel.means) else "short"


def _paintings(trials: Sequence[Trial]) -> str:
    renderers = names_of(trials, "renderer")
    renderer = SOLID if SOLID in renderers else renderers[0]
    own = [trial for trial in trials if trial.renderer == renderer]
    names = names_of(own, "contestant")
    losses = {name: by_painting([t for t in own if t.contestant == name]) for name in names}
    rows: list[list[Cell]] = []
    for painting in names_of(own, "painting"):
        found = {name: losses[name].get(painting) for name in names}
        best = min((figure.mean for figure in found.values() if figure is not None), default=math.nan)
        cells = [_best_cell(found[name], best) for name in names]
        rows.append([_text(painting), *cells])
    return _section(
        "Painting by painting",
        f'<p class="note">Loss × 1000 at the end on {_renderer(renderer)}; the mean over seeds and their standard '
        "deviation. The lowest of a painting is bold.</p>",
        _table(["painting", *map(_text, names)], rows),
    )


def _best_cell(figure: Figure | None, best: float) -> Cell:
    return figure_text(figure, 2, 1e3), "best" if figure is not None and figure.mean == best else ""


def _reaches(trials: Sequence[Trial]) -> str:
    reference = reference_of(trials)
    found = reaches(trials)
    if reference is None or not found:
        return ""
    table: dict[tuple[str, str], dict[float, Reach]] = {}
    for one in found:
        table.setdefault((one.contestant, one.renderer), {})[one.level] = one
    levels = [f"{_text(reference)}'s end" if level == 0 else f"{level:g} dB above it" for level in ABOVE]
    rows = [
        [_text(contestant), _renderer(renderer), *(_reach_cell(cells[level]) for level in ABOVE)]
        for (contestant, renderer), cells in table.items()
    ]
    return _section(
        "How soon a likeness is had",
        f'<p class="note">Seconds of fitting until the PSNR that every run of {_text(reference)} had in the end on '
        "the same painting, and some decibels more, was first there; below it the steps and the pixel-circle "
        "pairs. Medians over paintings and seeds, in which never counts as longer than any time.</p>",
        _table(["contestant", "renderer", *levels], rows, left=2),
    )


def _reach_cell(found: Reach) -> Cell:
    share = f"{found.reached} of {found.trials}"
    if found.seconds is None:
        return f"not reached<br><small>{share}</small>", ""
    steps = "" if found.steps is None else f"{found.steps:.0f} steps, "
    pairs = "" if found.pairs is None else f"{found.pairs / 1e9:.2f} · 10⁹ pairs, "
    return f"{found.seconds:.2f} s<br><small>{steps}{pairs}{share}</small>", ""


def _renderers(trials: Sequence[Trial]) -> str:
    duels = [renderer_duel(trials, name) for name in names_of(trials, "contestant")]
    rows = [_renderer_row(duel) for duel in duels if duel is not None]
    if not rows:
        return ""
    kernels = {name: names_of([t for t in trials if t.renderer == name], "kernel") for name in ("jax", "torch")}
    if kernels["jax"] == kernels["torch"]:
        why = (
            f"Both hand the drawing and its gradient to the same compiled kernel ({_text(', '.join(kernels['jax']))}), "
            "so the seconds differ by what is left: the optimiser's update, and the way into the framework and out of "
            "it. The losses should differ by chance only: the two add float32 numbers in another order, the last bits "
            "differ, and after some hundred steps the circles lie elsewhere, as they do with another seed."
        )
    else:
        drew = "; ".join(f"{_renderer(name)} with {_text(', '.join(found))}" for name, found in kernels.items())
        why = f"They do not draw with the same kernel ({drew}), so the seconds compare kernels as much as frameworks."
    return _section(
        "JAX against PyTorch",
        f"<p>{why}</p>",
        _table(
            ["contestant", "seconds a step", "lowest to highest", "loss", "most on one painting", "compile, s"],
            rows,
        ),
        _meanings(
            (
                (
                    "seconds a step",
                    "PyTorch's divided by JAX's: geometric mean over trials paired by painting and seed, ± "
                    "their standard deviation. Above 1 JAX is faster.",
                ),
                ("loss", "PyTorch's mean loss divided by JAX's."),
                ("most on one painting", "The largest difference of the two losses of a painting, means over seeds."),
                ("compile, s", "Seconds of compiling and loading before the fit, JAX and PyTorch."),
            )
        ),
    )


def _renderer_row(duel: RendererDuel) -> list[Cell]:
    spread = "" if duel.spread is None else f" ± {duel.spread:.3f}"
    return [
        _text(duel.contestant),
        f"{duel.seconds_ratio:.3f}{spread} <small>of {duel.pairs}</small>",
        f"{duel.lowest:.2f} to {duel.highest:.2f}",
        number_text(duel.loss_ratio, 4),
        f"{100 * duel.loss_apart:.1f} %",
        " and ".join(number_text(seconds, 2) for seconds in duel.compile_seconds),
    ]


def _published(found: Reproduction | None) -> str:
    if found is None:
        return ""
    rows = [
        [_text(name), f"{1e3 * ours:.2f}", f"{1e3 * theirs:.2f}", f"{100 * found.deviations[name]:+.1f} %"]
        for name, (ours, theirs) in found.values.items()
    ]
    return _section(
        "Is the baseline the real one?",
        f"<p>{_text(reproduction_sentence(found))}</p>",
        _table(["painting", "baseline here, loss × 1000", "published", "deviation"], rows),
    )


def _shortfalls(trials: Sequence[Trial]) -> str:
    found = not_won(trials)
    if not found:
        return ""
    rows = [_shortfall_row(short) for short in found]
    table = _table(["rival", "renderer", "what", "painting", "growth", "rival's"], rows, left=4)
    return _section(
        "All that growth does not win",
        '<p class="note">Every painting, and every mean over paintings, on which growth is not better; paintings '
        "by their means over seeds.</p>",
        f"<details><summary>{len(rows)} rows</summary>{table}</details>" if len(rows) > 12 else table,
    )


def _shortfall_row(short: Shortfall) -> list[Cell]:
    return [
        _text(short.rival),
        _renderer(short.renderer),
        _text(COMPARISONS[short.axis].words),
        "<b>mean</b>" if short.painting is None else _text(short.painting),
        value_text(short.axis, short.value),
        value_text(short.axis, short.rivals_value),
    ]


def _machine(bench: Mapping[str, Any]) -> str:
    machine = dict(bench.get("machine", {}))
    packages = machine.pop("packages", {})
    facts = [*machine.items(), *packages.items()]
    rows = [[_text(name), _text("none" if value is None else value)] for name, value in facts]
    options = [[_text(name), _text(value)] for name, value in bench.get("options", {}).items()]
    return _section(
        "Machine and options",
        '<p class="note">Load is the mean number of processes that wanted to run in the minute before the bench; '
        "above 0 the seconds are of a shared machine.</p>",
        _table(["", ""], rows, left=2, kind="facts"),
        '<h3 class="later">Options</h3>' if options else "",
        _table(["", ""], options, left=2, kind="facts") if options else "",
    )
