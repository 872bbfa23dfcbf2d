"""The test vectors: inputs and correctly rounded outputs, which other programming languages can use too.

`python -m softxent.check.vectors` writes vectors.json again. Each number is C99 hex of the float64 nearest to the
exact value, and 40 digits of the exact value itself, proved by ball arithmetic at 240 bits beyond its size.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from softxent.check import oracle
from softxent.check.cases import CASES, MORE
from softxent.files import replacing

__all__ = ["load", "make"]

LONGEST = 20
BITS = 240
FORMAT = {
    "logits": "float64 logits of one row, C99 hex",
    "label": "the index of the true class, from 0",
    "hex": "the exact value correctly rounded to float64 (ties to even), C99 hex; inf where it overflows",
    "digits": "40 significant decimal digits of the exact value; exponentials below e^-30000 are taken as 0",
    "gradient": "of the loss, with respect to the logits: p - onehot(label)",
    "jacobian": "of softmax, row by row: p_i (delta_ij - p_j)",
}


def make() -> dict[str, Any]:
    """Return the vectors, computed anew."""
    vectors = []
    for case in (*CASES, *MORE):
        if len(case.row) > LONGEST:
            continue
        row = list(case.row)
        vector: dict[str, Any] = {
            "id": case.id,
            "reason": case.reason,
            "logits": [v.hex() for v in row],
            "label": case.label,
        }
        for name, kind in (
            ("softmax", "softmax"),
            ("log_softmax", "log_softmax"),
            ("logsumexp", "logsumexp"),
            ("loss", "cross_entropy"),
            ("gradient", "cross_entropy_grad"),
            ("sigmoid", "sigmoid"),
        ):
            extra = case.label if kind.startswith("cross") else None
            vector[name] = _numbers(oracle.exact(kind, row, extra, bits=BITS))
        if len(row) <= 5:
            vector["jacobian"] = _numbers(oracle.exact("softmax_jacobian_from_logits", row, bits=BITS))
        vectors.append(vector)
    return {
        "name": "softxent test vectors",
        "version": 1,
        "format": FORMAT,
        "generator": "python -m softxent.check.vectors",
        "vectors": vectors,
    }


def _numbers(numbers: list[oracle.Number]) -> dict[str, list[str]]:
    return {"hex": [n.hi.hex() for n in numbers], "digits": [n.digits(40) for n in numbers]}


def path() -> Path:
    """Return where vectors.json is."""
    return Path(str(resources.files("softxent.check").joinpath("vectors.json")))


def load() -> dict[str, Any]:
    """Return the vectors that come with the package.

    >>> vectors = {v["id"]: v for v in load()["vectors"]}
    >>> vectors["example"]["softmax"]["digits"][0]
    '0.7308793357119100018564543160552607013383'
    >>> float.fromhex(vectors["confident"]["gradient"]["hex"][0])
    -4.248354255291589e-18
    """
    found: dict[str, Any] = json.loads(path().read_text(encoding="utf-8"))
    return found


def text(vectors: dict[str, Any]) -> str:
    """Return the vectors as the text of the file."""
    return json.dumps(vectors, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    with replacing(path()) as file:
        file.write(text(make()).encode())
