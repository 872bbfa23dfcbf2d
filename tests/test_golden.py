"""The golden record: no bit of any result has changed unless somebody meant it to."""

from __future__ import annotations

import json
import platform

import pytest
from golden import RECORD, bits, differences


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="products are BLAS's elsewhere")
def test_the_bits_are_those_of_the_record():
    """A change that is meant to change bits writes the record anew: python tests/golden.py --write."""
    assert differences(json.loads(RECORD.read_text(encoding="utf-8")), bits()) == []
