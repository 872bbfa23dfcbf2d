"""What the derivation says, one table a language, keyed by step, note and word."""

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
        code: of --lang.
        html: of HTML's lang attribute.
        steps: a title and a reason for each step.
        notes: further sentences, for the rows that they are true of.
        words: table heads and other words.
        page: the page's own words.
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
