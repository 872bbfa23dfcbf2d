// The Jacobian as a heat map: a cell that is hovered, focused or reached by arrow keys tells its formula with numbers.
const drawJacobian = () => {
  const n = state.x.length, place = byId("jacobian");
  const had = place.contains(document.activeElement);
  if (!state.cell || state.cell[0] >= n || state.cell[1] >= n) state.cell = [focusOf(), focusOf()];
  const wide = n <= 5;
  const head = h("tr", {}, h("td", {}), state.names.map((_, j) => h("th", { scope: "col", title: nameOf(j) }, mathml(["sym", "z", String(j)]))));
  const rows = model.J.map((row, i) => h("tr", {}, h("th", { scope: "row", title: nameOf(i) }, mathml(["sym", "a", String(i)])), row.map((v, j) => {
    const chosen = state.cell[0] === i && state.cell[1] === j;
    const cell = h("button", {
      type: "button", class: `cell ${v < 0 ? "negative" : "positive"}${Math.abs(v) > 0.13 ? " strong" : ""}${chosen ? " chosen" : ""}`, tabindex: chosen ? 0 : -1,
      "data-i": i, "data-j": j, "aria-label": say("cell-label", { i: nameOf(i), j: nameOf(j), value: textOf("a/z", i, j) }),
      onfocus: () => chooseCell(i, j), onmouseenter: () => chooseCell(i, j), onclick: () => chooseCell(i, j), onkeydown: moveCell,
    }, wide ? short(v, 2) : v < 0 ? "−" : v > 0 ? "+" : "0");
    cell.style.setProperty("--heat", `${Math.round(Math.min(1, Math.abs(v) * 4) ** 0.6 * 100)}%`);
    return h("td", {}, cell);
  })));
  place.replaceChildren(h("table", { class: wide ? "heat" : "heat dense" }, h("caption", { class: "hidden" }, say("jacobian-label")), h("thead", {}, head), h("tbody", {}, rows)));
  if (had) place.querySelector(".chosen")?.focus({ preventScroll: true });
  tellCell();
};

const chooseCell = (i, j) => {
  state.cell = [i, j];
  for (const cell of byId("jacobian").querySelectorAll("button")) {
    const chosen = Number(cell.dataset.i) === i && Number(cell.dataset.j) === j;
    cell.classList.toggle("chosen", chosen);
    cell.tabIndex = chosen ? 0 : -1;
  }
  tellCell();
};

const moveCell = (event) => {
  const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -LIMIT], End: [0, LIMIT] }[event.key];
  if (!move) return;
  event.preventDefault();
  event.stopPropagation();
  const n = state.x.length, [i, j] = [clamp(state.cell[0] + move[0], 0, n - 1), clamp(state.cell[1] + move[1], 0, n - 1)];
  byId("jacobian").querySelector(`[data-i="${i}"][data-j="${j}"]`).focus();
};

const tellCell = () => {
  const [i, j] = state.cell, same = i === j;
  const a = (k) => ["num", short(model.a[k], 5)];
  const general = ["eq", ["d", ["sym", "a", String(i)], ["sym", "z", String(j)]], ["mul", ["sym", "a", String(i)], ["add", ["delta", String(i), String(j)], ["neg", ["sym", "a", String(j)]]]]];
  const numbers = ["eq", ["mul", a(i), same && model.q[i] < 1e-3 ? ["num", short(model.q[i], 5)] : ["add", ["num", same ? "1" : "0"], ["neg", a(j)]]], ["num", textOf("a/z", i, j)]];
  byId("cell").replaceChildren(
    h("p", { class: "case" }, say(same ? "case-same" : "case-other", { i: nameOf(i), j: nameOf(j) })),
    stacked([...general, ...numbers.slice(1)]), h("p", { class: "quiet" }, say(same ? "cell-same" : "cell-other", { i: nameOf(i), j: nameOf(j) })));
};
