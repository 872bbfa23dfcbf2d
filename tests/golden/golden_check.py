"""The part of the golden record that is softxent check's: its verdict on every function of the zoo, and the mistake.

golden.py writes it and compares with it. It takes a quarter of an hour.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "helpers"))  # for `python tests/golden/golden.py`

from check_zoo import RIGHT, WRONG

from softxent.check import check

BUILT_IN = [
    (name, kind)
    for name in ("numpy-naive", "scipy", "softxent", "torch")
    for kind in ("softmax", "log_softmax", "logsumexp")
]


def checked() -> dict[str, str]:
    """Return what each function is found to be: right, or wrong by which mistake.

    Not the whole report: a check takes as many random rows as its time allows, and names the worst of them.
    """
    found = {}
    for target, kind in (*WRONG, *RIGHT, *BUILT_IN):
        report = check(target, kind, quick=True)
        mistake = report.diagnosis.name if report.diagnosis else "no mistake is named"
        found[f"{target.rpartition('/')[2]} {kind}"] = "right" if report.ok else f"wrong: {mistake}"
    return found
