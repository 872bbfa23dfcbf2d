// Break it: the row as it is, in four formats and three algorithms, each operation rounded once, against exact integers.
const verdict = (off, value) => {
  if (!Number.isFinite(value) && off !== 0) return ["bad", "✗"];
  if (off === null) return ["none", "–"];
  return off <= 1.5 ? ["good", "✓"] : off <= 64 ? ["fair", "≈"] : ["bad", "✗"];
};
const ulpText = (off) => (off === null ? "–" : off === Infinity ? "∞" : off < 100 ? short(off, 2) : off < 1e5 ? String(Math.round(off)) : off.toExponential(0).replace("e+", "e"));

const drawBreak = () => {
  const t = focusOf(), table = byId("race");
  const head = h("tr", {}, h("th", { scope: "col" }, say("format")), Object.keys(ALGORITHMS).map((name) => h("th", { scope: "col" }, name, h("span", { class: "quiet" }, say(`about-${name}`)))));
  const rows = Object.entries(FORMATS).map(([name, f]) => {
    const r = rounder(f), z = model.z.map(r), y = model.y.map(r), exact = exactRow(z, y);
    return h("tr", {}, h("th", { scope: "row" }, name), Object.keys(ALGORITHMS).map((algorithm) => {
      const got = race(algorithm, z, y, name), half = f.bits < 24 && algorithm === "softxent";
      const cells = [["L", got.loss, ulpsOff(got.loss, exact && exact.loss, half ? FORMATS.float32 : f)], ["∂L/∂z", got.gradient[t], ulpsOff(got.gradient[t], exact && exact.gradient[t], f)]];
      return h("td", {}, cells.map(([what, value, off]) => {
        const [kind, mark] = verdict(off, value);
        return h("div", { class: `outcome ${kind}` }, h("span", { class: "what" }, what), h("span", { class: "number" }, short(value, f.bits < 24 ? 5 : 8)), h("span", { class: "mark" }, h("span", { "aria-hidden": "true" }, `${mark} `), `${ulpText(off)} ulp`));
      }));
    }));
  });
  table.replaceChildren(h("caption", {}, say("race-caption", { label: nameOf(t), row: state.x.map((v) => short(v, 8)).join(", ") })), h("thead", {}, head), h("tbody", {}, rows));
};

const drawPresets = () => {
  byId("presets").replaceChildren(...DATA.presets.map((p) => h("button", {
    type: "button", onclick: () => {
      run(false);
      Object.assign(state, { x: p.x.map(fromJson), t: p.t, soft: false, w: null, eps: 0, T: 1, names: p.x.map((_, i) => String(i)), h: p.x.map((_, i) => Number(i === p.t)), cell: null });
      rebuild();
      announce(say(`about-preset-${p.key}`));
      byId("preset-why").textContent = say(`about-preset-${p.key}`);
    },
  }, h("strong", {}, say(`preset-${p.key}`)), h("span", {}, p.x.map((v) => (v === "-inf" ? "−∞" : String(v))).join(", ")))));
};
