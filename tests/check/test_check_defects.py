"""The known defects of libraries: what is taken for right is right, and what is still there is shown with its input."""

from __future__ import annotations

import json
import subprocess
import sys

import mpmath
import numpy as np
import pytest

from softxent.check.defects import DEFECTS, PEERS
from softxent.check.defects_run import as_lines, judge, run_defects

mpmath.mp.dps = 150


def lse(z):
    """Return the logsumexp of a row in 150 digits."""
    return mpmath.log(sum(mpmath.exp(mpmath.mpf(v)) for v in z))


def softmax(z):
    """Return a row's softmax in 150 digits."""
    return [mpmath.exp(mpmath.mpf(v) - lse(z)) for v in z]


def test_right_values_are_right():
    """The table's right values, from their formulas in 150 digits."""
    rows = {"[40, 0]": [40, 0], "[16.942384719848633, 0]": [16.942384719848633, 0], "[800, 800, 400]": [800, 800, 400]}
    w, soft = [37.42994775023705, 0], [4, -4, 3]
    ell = [lse([0, 1, 2]) - v for v in (0, 1, 2)]
    smoothed = lse([1, 0, 0])
    signed = [(3.06409428, 1.88190708), (0.37251854, 2.84174795), (3.87471931, -0.85016884)]
    expected = {
        **{f"log_softmax(f{b}({t})": [v - lse(z) for v in z] for t, z in rows.items() for b in (32, 64)},
        "log_softmax(z, -1)[0], f64": [1 - softmax(w)[0], -softmax(w)[1]],
        "torch.logsumexp(z, -1))(f32": [v - lse(rows["[800, 800, 400]"]) for v in rows["[800, 800, 400]"]],
        "jax.nn.logsumexp(f64([0, -40]))": [lse([0, -40])],
        "f64([.2, .3, .1])": [(6 * p - y) / mpmath.mpf(10) for p, y in zip(softmax(soft), (2, 3, 1), strict=True)],
        "copy(tf.nn.softmax(f64([[0, 20]]))": [lse([0, 20])],
        "label_smoothing=.1": [mpmath.mpf("0.9") * ell[0] + mpmath.mpf("0.1") / 3 * sum(ell)],
        "f64([[1, 0, 0], [0, 1, 0]]), weight": [(ell[0] + 2 * (lse([2, 1, 0]) - 1)) / 3],
        "label_smoothing=.3": [smoothed - mpmath.mpf("0.7") - mpmath.mpf("0.1")] * 2,
        "jnp.bfloat16": [lse([32, 35, 36]) - 32],
        "b=[1.88190708": [mpmath.log(sum(mpmath.mpf(b) * mpmath.exp(mpmath.mpf(a)) for a, b in signed))],
        "special.softmax(i8": softmax([-128, 127]),
        "special.log_softmax(u8": [-lse([0, 255]), 255 - lse([0, 255])],
    }  # fmt: skip
    for text, values in expected.items():
        found = [d for d in DEFECTS if text in d.call]
        if text.startswith("log_softmax(f") and not found:
            continue
        assert found, text
        for defect in found:
            np.testing.assert_allclose(
                defect.right, [float(v) for v in values], rtol=4e-16, atol=0, err_msg=defect.call
            )


def test_every_defect_belongs_to_a_target():
    """No library's defects are left unshown, no call stands twice."""
    assert {d.peer for d in DEFECTS} == {p for peers in PEERS.values() for p in peers}
    assert len({(d.peer, d.call) for d in DEFECTS}) == len(DEFECTS)


@pytest.fixture(scope="module")
def outcomes():
    """Return what the libraries of the tests give."""
    return {(o.defect.peer, o.defect.call): o for o in run_defects(["scipy", "torch", "sklearn"])}


@pytest.mark.parametrize(
    ("peer", "known", "got"),
    [
        ("scipy", "scipy#19521", "[0, -40]"),
        ("torch", "pytorch#195684", "[0, -5.551115e-17]"),
        ("torch", "pytorch#31829", "[nan, nan]"),
        ("torch", "pytorch/xla#2553", "[nan]"),
        ("torch", "pytorch#70348", "[nan]"),
        ("torch", "pytorch#11551", "[nan, nan, -0.5, 0.5]"),
    ],
)
def test_defects_are_shown_with_their_input(outcomes, peer, known, got):
    """A defect that is still there stands in the table with the call, what came and what is right."""
    of_it = [o for o in outcomes.values() if (o.defect.peer, o.defect.known) == (peer, known)]
    if all(o.status == "gone" for o in of_it):
        pytest.skip(f"{peer} {of_it[0].version} no longer has {known}")
    assert any(o.got == got for o in of_it), [o.got for o in of_it]
    text = "\n".join(as_lines(of_it))
    assert known in text
    assert of_it[0].defect.call in text


def test_what_was_repaired_is_gone(outcomes):
    """A call that gives the right value is not called a defect; a wrong expectation would show here."""
    gone = {o.defect.known for o in outcomes.values() if o.status == "gone"}
    assert {"scipy#4702", "scipy#22903", "scipy#23548", "pytorch#11752", "pytorch#15508", "pytorch#32049"} <= gone
    failed = [o for o in outcomes.values() if o.status == "not run" and not o.defect.needs]
    assert failed == []


def test_a_missing_library_is_one_line(monkeypatch):
    """What is not installed is said in a line, and is no error."""
    monkeypatch.setattr("softxent.check.defects_run.installed", lambda name: name != "sklearn")
    missed = run_defects(["sklearn"])
    assert {o.status for o in missed} == {"not run"}
    assert sum("not run, sklearn: sklearn is not installed" in line for line in as_lines(missed)) == 1


def test_judging():
    """Two units of the dtype's epsilon are right; another shape, NaN, or a finite number for inf are not."""
    defect = next(d for d in DEFECTS if d.known == "sklearn#24315")
    assert judge(defect, np.array([np.inf]))
    assert not judge(defect, np.array([1e308]))
    assert not judge(defect, np.array([np.nan]))
    third = next(d for d in DEFECTS if d.call == "special.softmax(f64([1, 1, inf]))")
    assert judge(third, np.array([0, 0, np.float32(1 + 2**-23)], np.float32))
    assert not judge(third, np.array([0, 0, 1 + 2**-23]))
    assert not judge(third, np.array([0.0, 1.0]))


def test_compare_shows_them():
    """`check --compare` ends with them, one kind's where --kind is given; --json has them beside the kinds."""
    command = [sys.executable, "-m", "softxent", "check", "--compare", "scipy", "--kind", "logsumexp", "--quick"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["known_defects"]
    assert {d["kind"] for d in found} == {"logsumexp"}
    wide = next(d for d in found if "zeros16" in d["call"])
    assert wide["status"] == "there"
    assert wide["got"] == "[inf]"
