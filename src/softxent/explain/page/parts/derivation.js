// The derivation, one step at a time, with the state's numbers in the formulas.
const liveFields = (step) => {
  const focus = focusOf(), rival = rivalOf(), after = next();
  return {
    ...step.fields, last: String(state.x.length - 1), classes: String(state.x.length), label: nameOf(focus), T: show(state.T), Y: textOf("Y"),
    "ε": show(state.eps), w: (state.w ?? []).map(show).join(", "), L: textOf("L"), "η": show(state.eta), before: short(model.L, 9), after: short(after.L, 9),
    trace: show((model.Y * sum(model.J.map((row, i) => row[i]))) / state.T / state.T), one: nameOf(focus), other: nameOf(rival),
  };
};

const unitMass = () => Math.abs(model.Y - 1) <= 1e-9;
const hardLabel = () => !state.soft && !state.eps && !state.w;

// Which further sentences hold for the numbers as they are now.
const HOLDS = {
  impossible: () => state.x.includes(-Infinity), "one-class": () => state.x.length === 1, temperature: () => state.T !== 1,
  "shares-negative": () => sum(state.x) !== 0 && state.x.some((v) => v / sum(state.x) < 0), "shares-undefined": () => !sum(state.x) || !Number.isFinite(sum(state.x)),
  smoothing: () => state.eps > 0, weight: () => state.w !== null, soft: () => state.soft, mass: () => !unitMass(), "fold-mass": () => !unitMass(),
  "label-impossible": () => model.L === Infinity, "soft-negative": () => Math.min(...model.y) < 0, limit: () => model.y.some((v, i) => v && !model.a[i]),
  "one-class-gradient": () => state.x.length === 1, "pull-many": () => !hardLabel() || !unitMass(), "descent-up": () => next().L > model.L,
  "descent-flat": () => next().L === model.L && Number.isFinite(model.L), "sigmoid-two": () => state.x.length === 2, "sigmoid-many": () => state.x.length > 2,
};
const NOTES = {
  shift: ["impossible"], probabilities: ["one-class"], logits: ["temperature"], shares: ["shares-undefined", "shares-negative"],
  labels: ["smoothing", "weight", "soft", "mass"], loss: ["label-impossible", "soft-negative"], "loss-by-probability": ["limit"], chain: ["limit"],
  fold: ["fold-mass", "one-class-gradient"], "push-pull": ["pull-many"], descent: ["descent-up", "descent-flat"], sigmoid: ["sigmoid-two", "sigmoid-many"],
};

const stepLines = (step) => {
  const n = state.x.length, focus = focusOf(), rival = rivalOf();
  if (step.id === "sigmoid" && rival !== focus) return [sigmoidLine(focus, rival)];
  if (step.id === "divergence") {
    const kl = model.L - model.entropy;
    return [["eq", ["call", "H", ["sym", "y"]], ["num", textOf("H(y)")]], ["eq", ["call", "KL", ["sym", "y"], ["sym", "a"]], ["add", ["num", short(model.L, 9)], ["neg", ["num", short(model.entropy, 9)]]], ["num", model.entropy ? show(kl) : textOf("L")]]];
  }
  if (step.id === "cancellation") {
    return [["eq", ["add", ["sym", "a", String(focus)], ["neg", ["num", "1"]]], ["num", show(model.a[focus] - 1)]], ["eq", ["neg", ["div", ["sum", "j", ["sym", "e", "j"], String(focus)], ["sym", "S"]]], ["num", show(-model.q[focus])]]];
  }
  // Infinity times 0 has no value: such a row is told in the note, not in a line.
  if (["loss", "chain", "loss-by-probability"].includes(step.id) && model.a.some((v) => !v)) return [];
  if (step.id === "jacobian") return step.formulas.flatMap((f) => [...numberLines(f, lookup, focus, rival, n), ...numberLines({ ...f, each: "other" }, lookup, focus, rival, n)]);
  const formulas = step.formulas.filter((f) => !(step.id === "fold" && f.each === "j" && JSON.stringify(f.form[1]).includes('"x"') && state.T === 1));
  return formulas.filter((f, k) => !(step.id === "fold" && k === 0 && formulas.length > 1) && !(step.id === "loss" && k === 0 && hardLabel() && formulas.length > 2)).flatMap((f) => numberLines(f, lookup, focus, rival, n));
};

const sigmoidLine = (t, r) => {
  const gap = (state.x[t] - state.x[r]) / state.T, value = gap > 0 ? 1 / (1 + Math.exp(-gap)) : Math.exp(gap) / (1 + Math.exp(gap));
  const at = ["sym", "a", String(t)], ar = ["sym", "a", String(r)];
  return ["eq", state.x.length === 2 ? at : ["div", at, ["add", at, ar]], ["call", "σ", ["add", ["num", short(model.z[t])], ["neg", ["num", short(model.z[r])]]]], ["num", show(value)]];
};

// The formulas that hold now: what Python wrote for the first row may have needed more, or less, of them.
const stepFormulas = (step) => step.formulas.filter((f) => {
  if (step.id === "fold" && f.form.length === 3 && JSON.stringify(f.form[2]) === JSON.stringify(["add", ["sym", "a", "j"], ["neg", ["sym", "y", "j"]]])) return unitMass();
  if (step.id === "loss" && JSON.stringify(f.form).includes('"t"')) return hardLabel();
  return true;
});

const wordOf = (node) => (node[0] === "word" ? language().words[node[1]] : node[0] === "eq" ? `${language().words[node[1][1]]} = ${node[2][1]}` : null);
const cellText = (value) => (value.startsWith("@") ? language().words[value.slice(1)] ?? value : value);

const stepTable = (table) => {
  // What Python found for the first row says nothing about another.
  if (table.caption?.[1] === "own-float32" && !pristine) return null;
  if (table.live && table.header.slice(1).some((node) => entryOf(node, lookup, { i: 0 }) === undefined)) return null;
  const head = h("tr", {}, table.header.map((node) => h("th", { scope: "col" }, wordOf(node) ?? mathml(node))));
  const rows = table.live
    ? state.names.map((name, i) => h("tr", { class: i === focusOf() ? "marked" : "" }, h("th", { scope: "row" }, name), table.header.slice(1).map((node) => h("td", {}, entryOf(node, lookup, { i }).text))))
    : table.rows.map((row) => h("tr", {}, h("th", { scope: "row" }, cellText(row[0])), row.slice(1).map((v) => h("td", {}, cellText(v)))));
  return h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": say("table-label") }, h("table", {}, table.caption ? h("caption", {}, wordOf(table.caption)) : null, h("thead", {}, head), h("tbody", {}, rows)));
};

const renderStep = (k) => {
  const step = DATA.steps[k], [title, always] = language().steps[step.id], why = step.id === "labels" && state.soft ? language().words["target-soft"] : always, fields = liveFields(step);
  const notes = [...(NOTES[step.id] ?? []).filter((key) => HOLDS[key]()), ...step.notes.filter((key) => !(key in HOLDS))];
  const lines = stepLines({ ...step, formulas: stepFormulas(step) });
  const left = h("div", { class: "told" },
    h("p", { class: "quiet" }, `${say("step", { n: String(k + 1), count: String(DATA.steps.length) })} · ${language().words[`part-${step.part}`]}`),
    h("h3", {}, title),
    step.formulas.length ? h("div", { class: "formulas", tabindex: 0, role: "region", "aria-label": say("formula-label") }, stepFormulas(step).map((f) => (f.form.length > 3 ? stacked(f.form) : mathml(f.form, true)))) : null,
    h("p", { class: "why" }, filled(why, fields)),
    notes.map((key) => h("p", { class: "note" }, filled(language().notes[key], fields))));
  const right = h("div", { class: "shown" },
    lines.length ? h("div", { class: "numbers", tabindex: 0, role: "region", "aria-label": language().words["with-numbers"] }, lines.map((line) => (line.length > 3 && (innerWidth < 560 || line.length > 4) ? stacked(line) : mathml(line, true)))) : null,
    step.tables.map(stepTable),
    step.picture.length ? h("pre", { tabindex: 0, role: "region", "aria-label": title }, step.picture.join("\n")) : null,
    step.error !== null && pristine ? h("p", { class: "quiet" }, say("error", { ulps: short(step.error, 2) })) : null);
  return right.childNodes.length ? [left, right] : [left];
};

const drawDerivation = () => {
  byId("step").replaceChildren(...renderStep(state.step));
  byId("back").disabled = state.step === 0;
  byId("forth").disabled = state.step === DATA.steps.length - 1;
  const list = byId("steps");
  list.replaceChildren(...DATA.steps.map((one, k) => h("option", { value: k, selected: k === state.step }, `${k + 1}. ${language().steps[one.id][0]}`)));
};

const goTo = (k) => {
  state.step = clamp(k, 0, DATA.steps.length - 1);
  drawDerivation();
  keepHash();
  announce(language().steps[DATA.steps[state.step].id][0]);
};

// On paper all steps are there.
window.addEventListener("beforeprint", () => byId("all-steps").replaceChildren(...DATA.steps.map((_, k) => h("article", { class: "step" }, renderStep(k)))));
window.addEventListener("afterprint", () => byId("all-steps").replaceChildren());
