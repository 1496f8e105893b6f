"""What a command printed, as an SVG picture: small, light or dark as the reader's system is, no foreign font. Pure.

Rich's own `export_svg` was left: it names a font on a host, is dark only, and gives each
line a clip path.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from rich.console import Console
from rich.style import Style
from rich.text import Text

_COLUMN, _LINE, _MARGIN = 8.4, 20, 16
_COLOURS = {  # light, dark; each is read easily on its paper
    "paper": ("#f6f8fa", "#0d1117"),
    "edge": ("#d0d7de", "#30363d"),
    "ink": ("#1f2328", "#e6edf3"),
    "faint": ("#57606a", "#9da7b1"),
    "red": ("#b42318", "#ff7b72"),
    "green": ("#116329", "#3fb950"),
    "yellow": ("#7d4e00", "#e3b341"),
    "blue": ("#0550ae", "#58a6ff"),
    "cyan": ("#0b6b76", "#39c5cf"),
}
_NUMBERED = {1: "red", 2: "green", 3: "yellow", 4: "blue", 6: "cyan"}
"""ECMA-48's colours by number; magenta, black and white the program does not use."""

_WORDS = re.compile(r"\S+(?: \S+)*")


def terminal_svg(command: str, output: str) -> str:
    """A picture of `output`, which may have colours as a terminal has them, below the `command` that made it."""
    lines = [Text.assemble((f"$ {command}", "dim")), *Text.from_ansi(output).split()]
    width = 2 * _MARGIN + _COLUMN * max(map(len, lines))
    height = 2 * _MARGIN + _LINE * len(lines)
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width:.0f} {height}"})
    root.attrib |= {"width": f"{width:.0f}", "height": str(height)}
    root.attrib |= {"role": "img", "aria-label": f"What {command} prints"}
    SubElement(root, "style").text = _style_sheet()
    frame = {"width": f"{width - 1:.0f}", "height": str(height - 1), "rx": "8"}
    SubElement(root, "rect", {"x": "0.5", "y": "0.5"} | frame)
    for number, line in enumerate(lines):
        _draw(root, line, _MARGIN + _LINE * (number + 0.7))
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _draw(root: Element, line: Text, y: float) -> None:
    """Draw a line, each of its columns at its own place: so the fonts of readers may differ."""
    column = 0
    for segment in line.render(Console(), end=""):
        for words in _WORDS.finditer(segment.text):
            x, length = _MARGIN + _COLUMN * (column + words.start()), _COLUMN * len(words[0])
            place = {"x": f"{x:.1f}", "y": f"{y:.0f}", "textLength": f"{length:.1f}"}
            SubElement(root, "text", place | _class(segment.style)).text = words[0]
        column += len(segment.text)


def _class(style: Style | None) -> dict[str, str]:
    if style is None:
        return {}
    colour = _NUMBERED[style.color.number or 0] if style.color else "faint" if style.dim else ""
    names = " ".join(filter(None, (colour, "bold" if style.bold else "")))
    return {"class": names} if names else {}


def _style_sheet() -> str:
    font = "14px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
    fixed = f"text {{ font: {font}; }}\ntext.bold {{ font-weight: 700; }}\n"
    return f"\n{fixed}{_colours(0)}\n@media (prefers-color-scheme: dark) {{\n{_colours(1)}\n}}\n"


def _colours(scheme: int) -> str:
    """The rules of one scheme: 0 is light, 1 is dark."""
    colour = {name: pair[scheme] for name, pair in _COLOURS.items()}
    rules = [f"rect {{ fill: {colour['paper']}; stroke: {colour['edge']}; }}", f"text {{ fill: {colour['ink']}; }}"]
    rules += [f".{name} {{ fill: {colour[name]}; }}" for name in list(colour)[3:]]
    return "\n".join(rules)
