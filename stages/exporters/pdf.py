"""PDF with vector shapes, for print."""

from __future__ import annotations

from pathlib import Path

from artpipe.renderers.primitives.falloff import FALLOFFS

from ..formats.files import whole_file
from ..result import Result
from .options import ExportOptions
from .paper import MM_PER_INCH, Sheet, sheet_for
from .pdf_file import PdfFile, text_string
from .pdf_shapes import PdfShapes
from .profile import srgb_profile
from .svg_shapes import number, shapes, shown_rows

_POINTS_PER_MM = 72 / MM_PER_INCH


def export_pdf(result: Result, path: Path, options: ExportOptions) -> None:
    """Write one page with the scene as vector shapes: on `options.paper`, or as large as `width` pixels at `dpi`."""
    data = pdf_bytes(result, options)
    with whole_file(path) as file:
        file.write(data)


def pdf_bytes(result: Result, options: ExportOptions) -> bytes:
    """Return the PDF file.

    Args:
        result: the scene and its title.
        options: title, flat, and width, paper, dpi, bleed of the page; see `sheet_for`.

    Raises:
        InputError: the page is too large.
    """
    scene = result.scene
    canvas = scene.canvas
    sheet = sheet_for(canvas, options.width or canvas.width, options.dpi, options.paper, options.bleed)
    file = PdfFile()
    painter = PdfShapes(file)
    falloff = FALLOFFS[canvas.edge]
    lines = [_placing(sheet), f"0 0 {canvas.width} {canvas.height} re W n"]
    if not canvas.transparent:
        background = " ".join(number(value, 4) for value in canvas.background)
        lines.append(f"{background} rg 0 0 {canvas.width} {canvas.height} re f")
    for shape in shapes(shown_rows(scene)):
        lines += painter.hard(shape, falloff) if options.flat else painter.soft(shape, falloff)
    painter.finish()
    content = file.add_stream("", "\n".join(lines).encode("ascii"))
    profile = file.add_stream("/N 3", srgb_profile())
    pages, catalogue = file.reserve(), file.reserve()
    page = file.add(
        f"<</Type/Page/Parent {pages} 0 R{_boxes(sheet)}/Contents {content} 0 R/Resources {painter.resources} 0 R"
        "/Group<</S/Transparency/CS/DeviceRGB/I true>>>>"
    )
    file.put(pages, f"<</Type/Pages/Kids[{page} 0 R]/Count 1>>")
    intent = (
        f"<</Type/OutputIntent/S/GTS_PDFX/OutputConditionIdentifier(sRGB)/Info(sRGB)/DestOutputProfile {profile} 0 R>>"
    )
    file.put(catalogue, f"<</Type/Catalog/Pages {pages} 0 R/OutputIntents[{intent}]>>")
    about = file.add(f"<</Title {text_string(options.title_of(result))}/Producer(artpipe)>>")
    return file.as_bytes(catalogue, about)


def _placing(sheet: Sheet) -> str:
    """Return the operator that maps canvas pixels, y downwards, to the page, in points upwards from its lower left."""
    scale = sheet.scale * _POINTS_PER_MM
    left = (sheet.bleed + sheet.left) * _POINTS_PER_MM
    top = (sheet.bleed + sheet.height - sheet.top) * _POINTS_PER_MM
    return f"{number(scale, 5)} 0 0 {number(-scale, 5)} {number(left, 3)} {number(top, 3)} cm"


def _boxes(sheet: Sheet) -> str:
    """Return the page's size with and without the bleed, in points."""
    bleed, width, height = (length * _POINTS_PER_MM for length in (sheet.bleed, sheet.width, sheet.height))
    whole = f"[0 0 {number(width + 2 * bleed, 3)} {number(height + 2 * bleed, 3)}]"
    trimmed = " ".join(number(value, 3) for value in (bleed, bleed, bleed + width, bleed + height))
    return f"/MediaBox{whole}/BleedBox{whole}/TrimBox[{trimmed}]"
