"""The pages of the reference name everything that is public, the index names every page, and what pages name exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
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


PATHS = [
    f"/{path.relative_to(ROOT).as_posix()}{'/' * path.is_dir()}"
    for folder in ("src", "tests", "docs", "benchmarks", ".ci")
    for path in [ROOT / folder, *(ROOT / folder).rglob("*")]
] + ["/CONTRIBUTING.md", "/README.md", "/CHANGELOG.md", "/pyproject.toml"]
# Folders that are not there yet.


@pytest.mark.parametrize("page", [ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.stem)
def test_files_that_are_named_are_there(page):
    """A file or folder of ours that a page names is there, by its whole path or the end of it."""
    words = re.findall(r"`([\w./]*\w(?:/|\.(?:py|md|json|toml)))`", page.read_text(encoding="utf-8"))
    named = [word for word in words if "NAME" not in word and not word.startswith("build/")]
    assert [word for word in named if not any(path.endswith(f"/{word}") for path in PATHS)] == []
