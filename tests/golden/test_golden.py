"""The golden record: no result has changed unless somebody meant it to."""

from __future__ import annotations

import json
import platform

import pytest
from golden import PARTS, differences, record


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="products are BLAS's elsewhere, and exp and log libm's")
@pytest.mark.parametrize("part", PARTS)
def test_results_are_those_of_the_record(part):
    """A change that is meant to change results writes the record anew: python tests/golden/golden.py --write."""
    assert differences(json.loads(record(part).read_text(encoding="utf-8")), PARTS[part]()) == []
