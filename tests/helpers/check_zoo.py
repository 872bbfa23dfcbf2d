"""The zoo's files, and the kind of each of its functions: the part of the name before the two underscores."""

from __future__ import annotations

import ast
import json
from pathlib import Path

ZOO = Path(__file__).parent / "zoo"


def functions(*files: str) -> list[tuple[str, str]]:
    """Return (target, kind) of every function of the files."""
    found = []
    for name in files:
        path = ZOO / name
        nodes = ast.parse(path.read_text(encoding="utf-8")).body
        names = [n.name for n in nodes if isinstance(n, ast.FunctionDef) and "__" in n.name]
        found += [(f"{path}:{name}", name.partition("__")[0]) for name in names]
    return found


WRONG = functions(
    "wrong_numpy.py", "wrong_lists.py", "wrong_torch.py", "wrong_classic.py", "wrong_batches.py", "wrong_kernels.py"
)
RIGHT = functions("right.py", "right_torch.py", "right_rounded.py")
# The mistake of each wrong function, by any of the names that are right for it.
NAMES: dict[str, list[str]] = json.loads((ZOO / "names.json").read_text(encoding="utf-8"))
