"""Options and fixtures of every test: --slow, and random numbers whose seed is in the test's name."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --slow."""
    parser.addoption("--slow", action="store_true", help="also run the tests that take over a minute")


def pytest_configure(config: pytest.Config) -> None:
    """Know the marks of SciPy's own tests, which test_peers.py imports: unknown marks are errors here."""
    for mark in ("skip_xp_backends", "xfail_xp_backends", "array_api_backends", "uses_xp_capabilities"):
        config.addinivalue_line("markers", f"{mark}: of SciPy's tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the slow tests unless they are asked for."""
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes over a minute: run with --slow"))


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Return a generator seeded by the test's own name, so that a test alone and in the suite sees the same numbers."""
    seed = zlib.crc32(request.node.nodeid.rpartition("/")[2].encode())
    print(f"seed {seed}")
    return np.random.default_rng(seed)


@pytest.fixture(scope="session")
def browser():
    """Return one Chromium for all tests of pages."""
    from browser import Browser

    one = Browser()
    yield one
    one.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return softxent explain's page of every row."""
    from explain_rows import ROWS

    from softxent.explain import explain

    folder = tmp_path_factory.mktemp("pages")
    for name, row in ROWS.items():
        options = {key: value for key, value in row.items() if key not in ("logits", "label")}
        explain(row["logits"], row["label"], **options).save(folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in ROWS}


@pytest.fixture
def fresh_plans():
    """Forget the plans before and after a test that changes what they depend on."""
    from softxent.arrays import visits
    from softxent.arrays.small import forget_calls

    visits.plan.cache_clear()
    forget_calls()
    yield
    visits.plan.cache_clear()
    forget_calls()
