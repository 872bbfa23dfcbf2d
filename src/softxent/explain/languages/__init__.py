"""The words and sentences of the derivation and the page. Each language is one module with the same keys."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from softxent.errors import OptionError
from softxent.explain.languages import en, zh

__all__ = ["LANGUAGES", "Language", "language"]


@dataclass(frozen=True, slots=True)
class Language:
    """A language's tables.

    Attributes:
        code: the value of --lang.
        html: the value of HTML's lang attribute.
        steps: a title and a reason for each step.
        notes: further sentences of steps, which hold for some rows only.
        words: heads of tables and other words.
        page: the words of the page.
    """

    code: str
    html: str
    steps: MappingProxyType[str, tuple[str, str]]
    notes: MappingProxyType[str, str]
    words: MappingProxyType[str, str]
    page: MappingProxyType[str, str]


LANGUAGES = MappingProxyType(
    {
        code: Language(
            code, html, MappingProxyType(module.STEPS), MappingProxyType(module.NOTES), MappingProxyType(module.WORDS),
            MappingProxyType(module.PAGE),
        )
        for code, html, module in (("en", "en", en), ("zh", "zh-Hans", zh))
    }
)  # fmt: skip


def language(code: str) -> Language:
    """Return a language's tables."""
    if code not in LANGUAGES:
        raise OptionError(f"language must be one of {', '.join(LANGUAGES)}; got {code!r}")
    return LANGUAGES[code]
