"""Small square pictures of the example and of each class's weights: PNGs in HTML, shades in text."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape

import numpy as np

from softxent.explain.view import View

__all__ = ["as_figures", "as_text_images"]

# Orange is evidence against the class, blue for it. All kinds of colour vision can distinguish these two.
AGAINST, FOR = (201, 92, 20), (11, 99, 181)
SHADES = " ░▒▓█"


def _grey(values: np.ndarray) -> np.ndarray:
    top = float(np.max(np.abs(values))) or 1.0
    pixels = np.full((values.size, 4), 128, dtype=np.uint8)
    pixels[:, 3] = np.round(np.abs(values) / top * 255)
    return pixels


def _signed(values: np.ndarray, top: float) -> np.ndarray:
    pixels = np.empty((values.size, 4), dtype=np.uint8)
    pixels[:, :3] = np.where((values > 0)[:, None], FOR, AGAINST)
    pixels[:, 3] = np.round(np.abs(values) / (top or 1.0) * 255)
    return pixels


def _png(pixels: np.ndarray, side: int) -> bytes:
    """Return a PNG of side × side RGBA pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = pixels.reshape(side, side * 4)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def _picture(pixels: np.ndarray, side: int, title: str) -> str:
    size = 4 * max(20, side)
    data = base64.b64encode(_png(pixels, side)).decode()
    return (
        f'<img src="data:image/png;base64,{data}" alt="{escape(title)}" width="{size}" height="{size}" '
        'style="image-rendering:pixelated">'
    )


def as_figures(view: View) -> str:
    """Return HTML with the example, and each class's weights and their change; "" if there are no pixels."""
    images, said = view.images, view.words.words
    if images is None or images.side is None:
        return ""
    weights, change = said["weights"], said["change"]
    weights_top, change_top = float(np.abs(images.weights).max()), float(np.abs(images.change).max())
    example = _picture(_grey(images.example), images.side, said["images-example"])
    cells = "".join(
        f"<figure><figcaption>{escape(name)}</figcaption>"
        f"{_picture(_signed(images.weights[i], weights_top), images.side, f'{weights} {name}')}"
        f"{_picture(_signed(images.change[i], change_top), images.side, f'{change} {name}')}</figure>"
        for i, name in enumerate(view.problem.names)
    )

    def line(tag: str, key: str) -> str:
        return f'<{tag} data-say="{key}">{escape(said[key])}</{tag}>'

    return (
        f'<section class="card images">{line("h2", "images-title")}'
        f'<div class="example"><figure>{line("figcaption", "images-example")}{example}</figure>'
        f"<div>{line('p', 'images-weights')}{line('p', 'images-change')}</div></div>"
        f'<div class="per-class" style="display:flex;flex-wrap:wrap;gap:14px">{cells}</div></section>'
    )


def as_text_images(view: View) -> list[str]:
    """Return the lines of the example, and of weights and change for the label and its rival; [] without pixels."""
    images, problem, said = view.images, view.problem, view.words.words
    if images is None or images.side is None:
        return []
    lines = [said["images-title"], ""]
    blocks = [_block(images.example, images.side, float(np.abs(images.example).max()))]
    heads = [said["images-example"]]
    for i in dict.fromkeys((problem.focus, problem.rival)):
        for key, values in (("weights", images.weights), ("change", images.change)):
            blocks.append(_block(values[i], images.side, float(np.abs(values).max())))
            heads.append(f"{problem.names[i]} {said[key]}")
    width = 2 * images.side
    per_line = max(1, 76 // (width + 4))
    for start in range(0, len(blocks), per_line):
        group = range(start, min(start + per_line, len(blocks)))
        lines += [heads[k] for k in group]
        for row in range(images.side):
            lines.append("    ".join(blocks[k][row] for k in group).rstrip())
        lines.append("")
    return lines


def _block(values: np.ndarray, side: int, top: float) -> list[str]:
    """Return an image in characters: darker shades are larger numbers, minus signs are negative ones."""
    cells = []
    for v in values:
        shade = SHADES[min(4, int(abs(float(v)) / top * 4.999))] if top else " "
        cells.append("- " if v < 0 and shade != " " else shade * 2)
    return ["".join(cells[k : k + side]) for k in range(0, side * side, side)]
