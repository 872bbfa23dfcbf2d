"""The derivation's chapters in docs/ are what their script writes, in both languages, with the same numbers."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def generate():
    """Return docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("language", ["en", "zh"])
def test_chapters_are_up_to_date(language):
    """Run python docs/generate.py when this fails."""
    script = generate()
    assert (DOCS / script.FILES[language]).read_text(encoding="utf-8") == script.chapter(language)


def test_chapters_have_the_same_formulas_and_numbers():
    """Formulas, and numbers in tables, are the same in both languages."""
    script = generate()
    texts = [script.chapter(language) for language in script.FILES]
    formulas = [re.findall(r"\$\$\n(.*?)\n\$\$", text, re.DOTALL) for text in texts]
    numbers = [re.findall(r"-?\d+\.\d{4,}(?:e[-+]\d+)?", text) for text in texts]
    assert formulas[0] == formulas[1]
    assert sorted(numbers[0]) == sorted(numbers[1])
    assert all(text.count("\n## ") == 4 for text in texts)
