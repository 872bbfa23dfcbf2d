"""The report as one self-contained page, and as a fragment for a notebook: no script, no font, nothing loaded."""

from __future__ import annotations

from html import escape

from softxent.check.render_text import number, paste
from softxent.check.report import Finding, Report

__all__ = ["fragment", "page"]

STYLE = """
.softxent{font:15px/1.5 system-ui,sans-serif;color:#1b1f24;max-width:70rem}
.softxent h2{font-size:1.25rem;margin:0 0 .25rem;overflow-wrap:anywhere}
.softxent h3{font-size:1rem;margin:1.4rem 0 .4rem}
.softxent .ok{color:#116329}.softxent .wrong{color:#a40e26}.softxent .note{color:#7d4e00}
.softxent .verdict{font-weight:600;margin:.2rem 0}
.softxent .quiet{color:#57606a;font-size:.86rem}
.softxent .card{border-left:4px solid #a40e26;background:#f6f8fa;
padding:.6rem .8rem;margin:.6rem 0;border-radius:0 4px 4px 0}
.softxent .card.d{border-color:#0550ae}
.softxent .card.n{border-color:#bf8700}
.softxent dl{display:grid;grid-template-columns:5.5rem 1fr;gap:.1rem .8rem;margin:.4rem 0 0}
.softxent dt{color:#57606a}
.softxent dd{margin:0;font-family:ui-monospace,monospace;font-size:.86rem;overflow-wrap:anywhere}
.softxent .scroll{overflow-x:auto}
.softxent table{border-collapse:collapse;font-size:.9rem;width:100%}
.softxent th,.softxent td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d0d7de;vertical-align:top}
.softxent td.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.softxent td.mono{font-family:ui-monospace,monospace;font-size:.8rem;overflow-wrap:anywhere;min-width:12rem}
@media(prefers-color-scheme:dark){.softxent{color:#e6edf3}.softxent .card{background:#161b22}
.softxent .quiet,.softxent dt{color:#9aa4af}
.softxent .ok{color:#56d364}.softxent .wrong{color:#ff7b72}.softxent .note{color:#e3b341}
.softxent th,.softxent td{border-color:#30363d}}
"""


def fragment(report: Report) -> str:
    """Return the report as an HTML fragment with its own style."""
    parts = [f"<style>{STYLE}</style>", '<div class="softxent">']
    parts.append(f"<h2>{escape(report.target)} <span class=quiet>as {escape(report.kind)}</span></h2>")
    state = "ok" if report.ok else "wrong"
    parts.append(f'<p class="verdict {state}">{"✓" if report.ok else "✗"} {escape(report.verdict)}</p>')
    versions = ", ".join(f"{k} {v}" for k, v in report.versions.items())
    parts.append(
        f"<p class=quiet>called with {escape(report.calling)}; {escape(versions)}; "
        f"judged by {escape(report.oracle)}</p>"
    )
    if report.diagnosis is not None:
        d = report.diagnosis
        parts.append(
            f'<div class="card d"><strong>Diagnosis: {escape(d.name)}.</strong> {escape(d.sentence)}'
            f"<br><span class=quiet>The step that it breaks: {escape(d.step)}</span></div>"
        )
    if report.findings:
        parts.append("<h3>Findings</h3>")
        parts += [_card(f, "") for f in report.findings]
    if report.measures:
        parts.append(
            "<h3>Accuracy</h3><div class=scroll><table><tr>"
            "<th>property<th>dtype<th>elements<th>worst, ulps<th>of what is owed<th>worst input</tr>"
        )
        for m in report.measures:
            mark = "wrong" if m.ratio > 1 else "ok"
            parts.append(
                f"<tr><td class={mark}>{escape(m.property)}<td>{m.dtype}"
                f"<td class=num>{m.count:,}<td class=num>{number(m.ulps)}"
                f"<td class=num>{m.ratio:.0%}<td class=mono>{escape(paste(m.input))}</tr>"
            )
        parts.append("</table></div>")
    if report.properties:
        parts.append("<h3>Properties</h3><div class=scroll><table>")
        for name, status, detail in report.properties:
            mark = {"ok": "ok", "finding": "wrong"}.get(status, "note")
            parts.append(f"<tr><td>{escape(name)}<td class={mark}>{escape(status)}<td>{escape(detail)}</tr>")
        parts.append("</table></div>")
    if report.notes:
        parts.append("<h3>Worth knowing, no findings</h3>")
        parts += [_card(f, " n") for f in report.notes]
    parts.append(f"<p class=quiet>tried: {escape('; '.join(report.coverage))}; {report.seconds:.1f} s</p></div>")
    return "\n".join(parts)


def _card(f: Finding, kind: str) -> str:
    rows = []
    if f.input:
        rows.append(("input", paste(f.input)))
    rows += [("got", f.got), ("exact", f.expected)]
    if f.ulps is not None:
        rows.append(("error", f"{number(f.ulps)} ulps" + (f", owed {number(f.bound)}" if f.bound is not None else "")))
    listed = "".join(f"<dt>{escape(a)}<dd>{escape(b)}" for a, b in rows)
    return (
        f'<div class="card{kind}"><strong>{escape(f.property)}</strong>'
        f" <span class=quiet>{escape(f.dtype)}, {escape(f.case)}</span>"
        f"<br>{escape(f.message)}<dl>{listed}</dl></div>"
    )


def page(report: Report) -> str:
    """Return the report as a whole page."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.target)}: {'ok' if report.ok else 'wrong'}</title>"
        "<style>body{margin:1.2rem auto;padding:0 1rem;max-width:70rem;color-scheme:light dark}</style></head><body>\n"
        f"{fragment(report)}\n</body></html>\n"
    )
