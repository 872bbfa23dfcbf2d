"""The arguments of `softxent explain`: negative numbers without quotes, options followed by several numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

__all__ = ["SEPARATOR", "ExplainCommand", "Request", "numbers_in"]

# Options that take all following numbers (or names), and options that take a file only if one follows.
NUMBER_LISTS = ("--soft", "--weight")
NAME_LISTS = ("--names",)
OUTPUTS = {
    "--html": (".html", ".htm"),
    "--latex": (".tex",),
    "--markdown": (".md", ".markdown"),
    "--json": (".json",),
    "--digits": (),
}
SEPARATOR = "\x1f"


def numbers_in(token: str) -> list[str] | None:
    """Return the numbers of an argument such as -4, 4,-4,3 or [4, -4, 3]; None if it is not made of numbers."""
    parts = [part for part in re.split(r"[\s,;\[\]()]+", token) if part]
    try:
        for part in parts:
            float(part)
    except ValueError:
        return None
    return parts or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The command's arguments, as the user gave them."""

    values: list[str]
    label: str | None = None
    soft: str | None = None
    probs: bool = False
    temperature: float = 1.0
    label_smoothing: float = 0.0
    weight: str | None = None
    names: str | None = None
    learning_rate: float = 1.0
    row: int = 1
    depth: int = 2
    step: str | None = None
    lang: str = "en"
    html: str | None = None
    open: bool = False
    latex: str | None = None
    markdown: str | None = None
    json: str | None = None
    digits: str | None = None
    model: Path | None = None
    images: Path | None = None
    labels: Path | None = None
    encoding: str | None = None


class ExplainCommand(TyperCommand):
    """A command that accepts negative numbers, and options followed by several numbers."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Sort the arguments into options and numbers before they are parsed."""
        flags = {name for p in self.params if getattr(p, "is_flag", False) for name in p.opts + p.secondary_opts}
        options, numbers, rest = [], [], list(args)
        while rest:
            token = rest.pop(0)
            if token == "--":
                numbers += [n for t in rest for n in (numbers_in(t) or [t])]
                break
            if token in NUMBER_LISTS:
                values: list[str] = []
                while rest and (found := numbers_in(rest[0])) is not None:
                    values += found
                    rest.pop(0)
                options += [token, SEPARATOR.join(values)]
            elif token in NAME_LISTS:
                names: list[str] = []
                while rest and not rest[0].startswith("--") and rest[0] != "-h":
                    # A number is a name, too, but behind words it is a logit where there are none yet.
                    if not numbers and names and numbers_in(names[0]) is None and numbers_in(rest[0]) is not None:
                        break
                    names.append(rest.pop(0))
                options += [token, SEPARATOR.join(names)]
            elif token in OUTPUTS:
                options += [token, rest.pop(0) if rest and _belongs(token, rest[0]) else "-"]
            elif token.startswith("--"):
                options.append(token)
                if "=" not in token and token not in flags and rest:
                    options.append(rest.pop(0))
            elif (found := numbers_in(token)) is not None:
                numbers += found
            elif token.startswith("-") and len(token) > 1:
                options.append(token)
            else:
                numbers.append(token)
        parsed: list[str] = super().parse_args(ctx, [*options, "--", *numbers])
        return parsed


def _belongs(option: str, token: str) -> bool:
    if option == "--digits":
        return token.isdigit()
    if Path(token).exists() and not Path(token).is_file() and not Path(token).is_dir():
        return True  # a device or a pipe, which is never a file of rows
    if option == "--html":
        return (not token.startswith("--") and numbers_in(token) is None and not Path(token).is_file()) or (
            token.lower().endswith(OUTPUTS[option])
        )
    return token.lower().endswith(OUTPUTS[option])
