"""The pages of the reference name everything that is public, and the index names every page."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NAMED = [
    name
    for page in sorted((DOCS / "reference").glob("*.rst"))
    for name in re.findall(r"^\.\. auto(?:function|class|exception):: (\S+)$", page.read_text(encoding="utf-8"), re.M)
]


MODULES = ["softxent", "softxent.torch", "softxent.sklearn", "softxent.check", "softxent.explain"]


@pytest.mark.parametrize("module", MODULES)
def test_public_names_stand_in_the_reference_once(module):
    """Each public name of a module stands in the reference, once; and nothing that is not public."""
    public = [f"{module}.{name}" for name in importlib.import_module(module).__all__]
    assert sorted(name for name in NAMED if name.rpartition(".")[0] == module) == sorted(public)


def test_every_page_is_in_the_index():
    """Every page stands in the tables of contents of the site, and every guide in the list that GitHub shows."""
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in [*DOCS.rglob("*.md"), *DOCS.rglob("*.rst")]}
    index = (DOCS / "index.md").read_text(encoding="utf-8").split()
    assert pages - {"README", "index"} <= set(index)
    guides = re.findall(r"\]\((\S+)\.md\)", (DOCS / "README.md").read_text(encoding="utf-8"))
    assert {page for page in pages if "/" not in page} - {"README", "index"} == set(guides)
