"""The site that `make docs` writes to build/docs: these pages, and a reference made from the docstrings."""

from __future__ import annotations

import importlib.metadata
import re
from typing import Any

project = "softxent"
author = "The softxent developers"
release = importlib.metadata.version("softxent")

extensions = ["sphinx.ext.autodoc", "myst_parser"]
exclude_patterns = ["README.md"]  # index.md includes it
html_theme = "furo"
html_title = f"softxent {release}"
html_copy_source = html_show_copyright = False
html_domain_indices = False
html_math_renderer = "mathml"  # drawn by the browser: no scripts, no network
smartquotes = False  # -- is an option's, " is Python's
myst_enable_extensions = ["dollarmath"]
autodoc_typehints = "none"  # the docstrings name shapes, which types do not
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True

SECTION = re.compile(r"(Args|Attributes|Returns|Raises):$")
ENTRY = re.compile(r"    (\S[^:]*): (.*)")
# In running text: `code`, and what reStructuredText would take for markup.
MARKUP = re.compile(r"`[^`]+`|[|*]|(?<=\w)_\b")


def restructure(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Make reStructuredText of a docstring: sections are fields, what follows a blank line indented is a formula."""
    made: list[str] = []
    entries = literal = False
    for previous, line in zip(["", *lines], lines, strict=False):
        if not previous:
            entries, literal = False, line.startswith((" ", ">>>"))
            if line.startswith(" "):
                made += [".. code-block:: none", ""]
        if literal:
            made.append(line)
        elif SECTION.match(line):
            entries = line in ("Args:", "Attributes:")
            made.append(f":{line}")
        else:
            text = MARKUP.sub(lambda found: f"`{found[0]}`" if found[0][0] == "`" else rf"\{found[0]}", line)
            # An entry becomes a term and its definition.
            made += ENTRY.sub(r"    **\1**\n        \2", text).split("\n") if entries else [text]
    lines[:] = made


def add_commands(_app: Any, page: str, source: list[str]) -> None:
    """Append the commands' own help to the page of the command line."""
    if page != "reference/command-line":
        return
    import typer
    from typer.cli import get_docs_for_click

    from softxent.cli.commands import app

    group: Any = typer.main.get_command(app)
    context = typer.Context(group)
    source[0] += f"{group.help}\n\n{group.epilog}\n\n"
    for command in group.commands.values():
        source[0] += get_docs_for_click(obj=command, ctx=context, call_prefix="softxent", indent=1)


def setup(app: Any) -> None:
    """Connect the above to Sphinx, and have formulas written as MathML."""
    from docutils.nodes import SkipNode
    from latex2mathml.converter import convert

    def inline(page: Any, node: Any) -> None:
        page.body.append(convert(node.astext()))
        raise SkipNode

    def block(page: Any, node: Any) -> None:
        page.body.append(f'<div style="padding: 0.5em 0">{convert(node.astext(), display="block")}</div>')
        raise SkipNode

    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    app.connect("autodoc-process-docstring", restructure)
    app.connect("source-read", add_commands)
