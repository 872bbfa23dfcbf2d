"""The page of softxent explain in Chromium, from file:// and without a network."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from browser import Browser, needs_chromium
from explain_rows import ROWS

pytestmark = needs_chromium

# Every step in turn: those at which something overflows, or shows what is no text.
EVERY_STEP = """
const bad = [], steps = document.getElementById("steps");
for (let k = 0; k < steps.length; k++) {
  steps.value = k;
  steps.dispatchEvent(new Event("change"));
  const text = document.getElementById("main").innerText;
  const wide = document.documentElement.scrollWidth > innerWidth;
  if (wide || /undefined|\\[object|null|\\{\\w+\\}/.test(text)) bad.push(k);
}
return bad;
"""


def quiet(browser: Browser) -> None:
    """Assert that nothing was logged, nothing was asked for, and nothing is wider than the window."""
    assert browser.console() == []
    assert browser.requests() == []
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize(
    ("name", "width"),
    [(name, 1440) for name in ROWS] + [(name, 390) for name in ("default", "twelve", "large", "options", "markup")],
)
def test_opens_quietly(browser, pages, name, width):
    """Every row, every step, both languages, light and dark: no message, no request, no overflow."""
    for lang, dark in (("en", False), ("zh", True)):
        browser.open(pages[name], f"#lang={lang}", width=width, dark=dark)
        assert browser.run("return document.documentElement.lang") == {"en": "en", "zh": "zh-Hans"}[lang]
        assert browser.run(EVERY_STEP) == []
        quiet(browser)


def test_is_one_small_file(pages):
    """Under 300 KB, and nothing in it that a browser would fetch."""
    for path in pages.values():
        text = path.read_text(encoding="utf-8")
        assert path.stat().st_size < 300_000
        assert 'src="http' not in text
        assert "@import" not in text


@pytest.mark.parametrize(
    ("name", "lang", "dark", "width"),
    [
        ("default", "en", False, 1440),
        ("default", "zh", True, 390),
        ("twelve", "en", True, 390),
        ("twelve", "zh", False, 1440),
        ("soft", "en", True, 1440),
    ],
)
def test_axe_finds_no_serious_violation(browser, pages, name, lang, dark, width):
    """axe-core: nothing serious or critical."""
    source = Path(find_spec("axe_core_python").origin).parent / "axe.min.js"
    browser.open(pages[name], f"#lang={lang}&step=fold", width=width, dark=dark)
    browser.run(source.read_text(encoding="utf-8"))
    found = browser.driver.execute_async_script("axe.run().then(arguments[0])")
    serious = [
        (v["id"], v["help"], [node["html"][:200] + str(node["any"][:1])[:400] for node in v["nodes"][:3]])
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize(("lang", "called"), [("en", "soft label"), ("zh", "软标签")])
def test_a_soft_label_is_no_class(browser, pages, lang, called):
    """The picture and the step of the target name no class as the label; they do once there is one."""
    shown = (
        "return [document.querySelector('#bars svg').getAttribute('aria-label'), "
        "document.querySelector('.why').textContent]"
    )
    browser.open(pages["soft"], f"#lang={lang}&step=labels")
    bars, why = browser.run(shown)
    assert called in bars
    assert not any(character.isdigit() for character in why)
    browser.run("document.getElementById('mode-hard').click()")
    bars, why = browser.run(shown)
    assert called not in bars
    assert any(character.isdigit() for character in why)


CONSISTENT = """
const m = softxent.model(), sum = (v) => v.reduce((s, x) => s + x, 0), n = m.a.length;
const worst = [Math.abs(sum(m.a) - 1), Math.abs(sum(m.byZ))];
for (let i = 0; i < n; i++) {
  worst.push(Math.abs(sum(m.J[i])), Math.abs(m.byZ[i] - (m.a[i] * m.Y - m.y[i])));
  for (let j = 0; j < n; j++) worst.push(Math.abs(m.J[i][j] - m.a[i] * (Number(i === j) - m.a[j])), Math.abs(m.J[i][j] - m.J[j][i]));
}
const close = (a, b) => (Object.is(a, b) ? 0 : Math.abs(a - b) / Math.max(1, Math.abs(a)));
const loss = sum(m.y.map((y, i) => (y ? -y * m.loga[i] : 0)));
worst.push(close(loss, m.L));
return Math.max(...worst);
"""  # noqa: E501


def consistent(browser: Browser) -> None:
    """Assert that sums, gradient, Jacobian and loss of the page's state belong together."""
    assert browser.run(CONSISTENT) < 1e-12


def test_first_numbers_are_pythons(browser, pages):
    """What the page shows before anything is moved is the exact value, digit for digit."""
    browser.open(pages["default"])
    assert browser.run("return document.getElementById('loss').textContent") == "1.313506900283053"
    text = browser.run("return document.getElementById('gradient').textContent")
    for number in ("0.73087933571191", "0.0002451827026375595", "-0.7311245184145475"):
        assert number in text


def test_every_control_by_keyboard(browser, pages):
    """Tab reaches each control; keys alone change logits, label, temperature, classes, step and cell."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.open(pages["default"], "#step=logits")
    find = lambda selector: browser.driver.find_element(By.CSS_SELECTOR, selector)  # noqa: E731
    state = lambda: browser.run("return softxent.state()")  # noqa: E731
    focus = lambda selector: browser.run("document.querySelector(arguments[0]).focus()", selector)  # noqa: E731
    active = lambda: browser.driver.switch_to.active_element  # noqa: E731

    focus(".slider[data-i='0']")
    active().send_keys(Keys.ARROW_RIGHT * 5)
    assert state()["x"][0] == pytest.approx(4.5, abs=1e-9)
    consistent(browser)
    focus(".logit[data-i='1']")
    active().send_keys(Keys.CONTROL + "a")
    active().send_keys("-1e4" + Keys.ENTER)
    assert state()["x"][1] == -1e4
    consistent(browser)
    active().send_keys(Keys.CONTROL + "a")
    active().send_keys("nonsense" + Keys.ENTER)
    assert state()["x"][1] == -1e4
    focus(".target:checked")
    active().send_keys(Keys.ARROW_UP)
    assert state()["t"] == 1
    focus("#temperature")
    active().send_keys(Keys.ARROW_RIGHT * 10)
    assert state()["T"] > 1
    consistent(browser)
    for selector, check in (
        ("#add", lambda: len(state()["x"]) == 4), ("#mode-soft", lambda: state()["soft"]),
        ("#mode-hard", lambda: not state()["soft"]), ("#descend", lambda: True),
        ("#reset", lambda: state()["x"] == [4, -4, 3]),
        (".remove", lambda: len(state()["x"]) == 2), ("#lang", lambda: state()["lang"] == "zh"),
        ("#theme", lambda: state()["theme"] == "light"), ("#presets button", lambda: state()["x"] == [123, 456, 789]),
    ):  # fmt: skip
        focus(selector)
        active().send_keys(Keys.ENTER)
        assert check(), selector
        consistent(browser)
    focus("#jacobian .chosen")
    active().send_keys(Keys.HOME)
    active().send_keys(Keys.ARROW_UP * 3)
    assert active().get_attribute("data-i") == "0"
    assert active().get_attribute("data-j") == "0"
    focus("#main")
    find("body").send_keys(Keys.ARROW_RIGHT)
    assert state()["step"] == 2
    # Tab alone comes to every kind of control.
    focus("body")
    browser.run("document.activeElement.blur()")
    reached = set()
    for _ in range(60):
        find("body").send_keys(Keys.TAB) if active().tag_name == "body" else active().send_keys(Keys.TAB)
        reached.add(browser.run("const e = document.activeElement; return e.id || e.className.split(' ')[0]"))
    assert {"lang", "theme", "link", "python", "slider", "logit", "target", "add", "temperature", "back", "steps",
            "forth", "cell", "descend", "run", "eta"} <= reached  # fmt: skip
    quiet(browser)


def test_every_control_by_mouse(browser, pages):
    """A soft label, a renamed class, the Jacobian's cells, the descent, every preset."""
    from selenium.webdriver.common.by import By

    browser.open(pages["default"])
    find = lambda selector: browser.driver.find_element(By.CSS_SELECTOR, selector)  # noqa: E731
    click = lambda selector: browser.run("document.querySelector(arguments[0]).click()", selector)  # noqa: E731
    find("#mode-soft").click()
    soft = find(".row:nth-child(1) .target")
    soft.clear()
    soft.send_keys("0.5")
    assert browser.run("return softxent.model().Y") == 1.5
    assert browser.run(CONSISTENT.replace("Math.abs(sum(m.byZ))", "0")) < 1e-12
    click("#normalise")
    consistent(browser)
    before = browser.run("return softxent.model().L")
    for _ in range(5):
        click("#descend")
        consistent(browser)
    assert browser.run("return softxent.model().L") < before
    click("#start-over")
    for k in range(browser.run("return document.querySelectorAll('#presets button').length")):
        browser.run("document.querySelectorAll('#presets button')[arguments[0]].click()", k)
        consistent(browser)
        assert "NaN" not in browser.run("return document.getElementById('gradient').textContent")
    browser.run("document.querySelector(\"#jacobian [data-i='0'][data-j='1']\").click()")
    assert "≠" in find("#cell .case").text
    quiet(browser)


def test_paper_has_every_step(browser, pages):
    """Printed, the page shows all steps, in dark colours' place light ones."""
    browser.open(pages["default"], "#theme=dark")
    printed = browser.driver.execute_cdp_cmd("Page.printToPDF", {})
    assert len(printed["data"]) > 50_000
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.run("return document.querySelectorAll('#all-steps .step').length") == 27
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    quiet(browser)


def test_naive_fails_where_it_should(browser, pages):
    """The first preset: naive is nan in every format, softxent has the loss 2.4e-145 in float64."""
    browser.open(pages["default"])
    browser.run("document.querySelector('#presets button').click()")
    rows = browser.run(
        "return [...document.querySelectorAll('#race tbody tr')].map((r) => [...r.cells].map((c) => c.innerText))"
    )
    assert all("nan" in row[1] and "✗" in row[1] for row in rows)
    assert "2.3984879e-145" in rows[3][3]
    assert "✓" in rows[3][3]


def test_a_link_restores_the_state(browser, pages):
    """The hash brings back logits, soft label, temperature, names, step and language; a damaged one does no harm."""
    browser.open(pages["default"])
    browser.run("for (const id of ['mode-soft', 'add', 'lang']) document.getElementById(id).click()")
    state, fragment = browser.run("return [softxent.state(), location.hash]")
    browser.open(pages["default"], fragment)
    assert browser.run("return softxent.state()") == state
    for bad in (
        "#z=1,nan&t=9&T=-1&names=[1",
        "#z=inf,inf",
        "#%",
        "#z=" + "1," * 500,
        "#lang=__proto__&step=constructor",
    ):
        browser.open(pages["default"], bad)
        assert browser.run("return softxent.state().x.length") in (2, 3)
        quiet(browser)


@pytest.mark.parametrize("fragment", ["", '#z=1,2,3&t=0&names=["<img src=x onerror=window.hurt=1>","</script>","<b>"]'])
def test_names_are_only_text(browser, pages, fragment):
    """Nothing in a name is executed or becomes an element, in the file as in the link."""
    browser.open(
        pages["markup"], fragment.replace('"', "%22").replace("<", "%3C").replace(">", "%3E").replace(" ", "%20")
    )
    browser.run("for (let k = 0; k < 30; k++) document.getElementById('forth').click()")
    assert browser.run("return window.hurt === undefined")
    assert browser.run("return document.querySelectorAll('main img, main b:not(#loss), main script').length") == 0
    quiet(browser)


@pytest.mark.parametrize("name", ["default", "options", "soft", "markup", "masked"])
def test_copied_python_runs(browser, pages, name):
    """What "Copy Python" copies is a program that prints the page's loss."""
    browser.open(pages[name])
    browser.run("document.getElementById('python').click()")
    browser.driver.implicitly_wait(1)
    code = browser.run("return document.getElementById('copied').value")
    for _ in range(20):
        if code:
            break
        code = browser.run("return document.getElementById('copied').value")
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[0]) == pytest.approx(
        float(browser.run("return String(softxent.model().L)").replace("Infinity", "inf")), rel=1e-12
    )
