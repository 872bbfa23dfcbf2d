// The controls, and what happens when one is moved.
const keepHash = () => {
  const hash = writeHash();
  try { history.replaceState(null, "", hash); } catch { /* a viewer that does not allow it: the link button still has it */ }
};

const sliderReach = (v) => (Number.isFinite(v) && Math.abs(v) > 10 ? Math.ceil(Math.abs(v) * 1.25) : 10);

const buildControls = () => {
  const n = state.x.length;
  byId("rows").replaceChildren(...state.names.map((name, i) => {
    const reach = sliderReach(state.x[i]);
    const slider = h("input", { type: "range", class: "slider", min: -reach, max: reach, step: reach > 10 ? "any" : 0.1, "aria-label": say("slider-label", { name }), "data-i": i,
      oninput: (event) => setLogit(i, Number(Number(event.target.value).toPrecision(6)), event.target) });
    slider.value = Number.isFinite(state.x[i]) ? state.x[i] : -reach;
    const number = h("input", { type: "text", inputmode: "text", class: "logit", value: show(state.x[i]), "aria-label": say("number-label", { name }), "data-i": i, spellcheck: "false", autocomplete: "off",
      onchange: (event) => {
        const v = parseNumber(event.target.value);
        const possible = !Number.isNaN(v) && v < Infinity && state.x.some((other, k) => (k === i ? v : other) > -Infinity);
        event.target.setAttribute("aria-invalid", String(!possible));
        if (possible) { setLogit(i, v, event.target); rebuild(`.logit[data-i="${i}"]`); } else toast(say(v === -Infinity ? "one-finite" : "no-number"));
      } });
    const target = state.soft
      ? h("input", { type: "number", class: "target", min: 0, step: 0.05, value: state.h[i], "aria-label": say("soft-label", { name }), oninput: (event) => { const v = Number(event.target.value); if (event.target.value !== "" && Number.isFinite(v)) { state.h[i] = v; restart(); } } })
      : h("input", { type: "radio", name: "label", class: "target", checked: state.t === i, "aria-label": say("pick-label", { name }), onchange: () => { state.t = i; state.cell = [i, i]; restart(); markLabel(); } });
    const nameInput = h("input", { type: "text", class: "class-name", value: name, maxlength: 80, "aria-label": say("name-label", { name }), autocomplete: "off", spellcheck: "false",
      onchange: (event) => { state.names[i] = event.target.value || String(i); rebuild(); } });
    const remove = h("button", { type: "button", class: "remove", disabled: n === 1 || !state.x.some((v, k) => k !== i && v > -Infinity), "aria-label": say("remove", { name }), title: say("remove", { name }), onclick: () => removeClass(i) }, "×");
    return h("div", { class: `row${state.t === i && !state.soft ? " label" : ""}` }, nameInput, h("output", { class: "share", "data-i": i }), remove, slider, number, target);
  }));
  byId("add").disabled = n >= LIMIT;
  byId("mode-hard").setAttribute("aria-pressed", String(!state.soft));
  byId("mode-soft").setAttribute("aria-pressed", String(state.soft));
  byId("normalise").hidden = !state.soft;
  byId("temperature").value = clamp(Math.log10(state.T), -1.3, 1.3);
  byId("eta").value = clamp(Math.log10(state.eta), -2, 2);
  const modifiers = [...(state.eps ? [["eps", `ε = ${show(state.eps)}`]] : []), ...(state.w ? [["w", `w = ${state.w.map(show).join(", ")}`]] : [])];
  byId("modifiers").replaceChildren(...modifiers.map(([key, text]) => h("button", { type: "button", class: "chip", title: say("drop"), onclick: () => { state[key] = key === "eps" ? 0 : null; rebuild(); } }, `${text} ×`)));
};

const markLabel = () => [...byId("rows").children].forEach((row, i) => row.classList.toggle("label", !state.soft && state.t === i));

const setLogit = (i, v, source) => {
  state.x[i] = v;
  for (const input of byId("rows").querySelectorAll(`[data-i="${i}"]`)) if (input !== source && input.tagName === "INPUT") input.value = input.type === "range" ? v : show(v);
  restart();
};

const removeClass = (i) => {
  const drop = (list) => (list ? list.filter((_, k) => k !== i) : list);
  const total = sum(state.h);
  Object.assign(state, { x: drop(state.x), names: drop(state.names), h: drop(state.h), w: drop(state.w), cell: null });
  state.t = state.t > i || state.t >= state.x.length ? Math.max(0, state.t - 1) : state.t;
  if (!state.soft || !total) state.h = state.x.map((_, k) => Number(k === state.t));
  rebuild("#add");
};

const addClass = () => {
  let name = state.x.length;
  while (state.names.includes(String(name))) name += 1;
  state.x.push(0); state.names.push(String(name)); state.h.push(0);
  if (state.w) state.w.push(1);
  rebuild("#add");
};

const setMode = (soft) => {
  if (soft && !state.soft) state.h = state.x.map((_, i) => Number(i === state.t));
  if (!soft && state.soft) state.t = focusOf();
  state.soft = soft;
  rebuild(soft ? "#mode-soft" : "#mode-hard");
};

const drawNumbers = () => {
  const push = say("metric", { what: "Σa", value: short(sum(model.a), 15) }), zero = say("metric", { what: "Σ∂L/∂z", value: short(sum(model.byZ), 2) });
  byId("loss").textContent = textOf("L");
  byId("sums").textContent = `${push} · ${zero} · Y = ${textOf("Y")}`;
  byId("gradient").replaceChildren(h("thead", {}, h("tr", {}, [mathmlOr(language().words.class), mathml(["sym", "a", "i"]), mathml(["sym", "y", "i"]), mathml(unitMass() ? ["add", ["sym", "a", "i"], ["neg", ["sym", "y", "i"]]] : ["add", ["mul", ["sym", "a", "i"], ["sym", "Y"]], ["neg", ["sym", "y", "i"]]])].map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, state.names.map((name, i) => h("tr", { class: i === focusOf() ? "marked" : "" }, h("th", { scope: "row" }, name), h("td", {}, textOf("a", i)), h("td", {}, textOf("y", i)), h("td", { class: model.byZ[i] > 0 ? "push" : "pull" }, textOf("L/z", i))))));
  for (const output of byId("rows").querySelectorAll("output")) output.textContent = `${(model.a[output.dataset.i] * 100).toFixed(model.a[output.dataset.i] < 0.0995 ? 2 : 1)} %`;
  byId("temperature-value").textContent = `T = ${short(state.T, 3)}`;
  byId("eta-value").textContent = `η = ${short(state.eta, 3)}`;
  byId("temperature").setAttribute("aria-valuetext", `T = ${short(state.T, 3)}`);
  byId("eta").setAttribute("aria-valuetext", `η = ${short(state.eta, 3)}`);
};
const drawAnswer = () => {
  const left = ["d", ["sym", "L"], ["sym", "z", "i"]], a = ["sym", "a", "i"], y = ["sym", "y", "i"];
  const value = ["add", unitMass() ? a : ["mul", a, ["sym", "Y"]], ["neg", y]];
  byId("answer").replaceChildren(mathml(["eq", left, value], true));
};
const mathmlOr = (text) => document.createTextNode(text);

const refresh = ({ keepTrail = false } = {}) => {
  nextCache = null;
  model = compute(state);
  pristine = isPristine();
  if (!keepTrail) restartTrail();
  drawNumbers(); drawAnswer(); drawBars(); drawJacobian(); drawGraph(); drawDerivation(); drawDescent(); drawBreak();
  if (keepTrail) for (const input of byId("rows").querySelectorAll("input[data-i]")) {
    const v = state.x[input.dataset.i];
    if (input.type === "range") { if (Math.abs(v) > Number(input.max)) { input.max = sliderReach(v); input.min = -sliderReach(v); } input.value = v; } else input.value = show(v);
  }
  keepHash();
};
const restart = () => { run(false); refresh(); announce(say("announce", { loss: short(model.L, 4), label: nameOf(focusOf()), a: short(model.a[focusOf()], 4) })); };

const rebuild = (focus) => {
  run(false);
  translate();
  buildControls();
  drawPresets();
  refresh();
  if (focus) document.querySelector(focus)?.focus();
};

const translate = () => {
  document.documentElement.lang = language().html;
  document.title = `softxent · ${language().words.title}`;
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
  for (const element of document.querySelectorAll("[data-label]")) { element.setAttribute("aria-label", say(element.dataset.label)); }
  byId("lang").textContent = say("other-language");
  byId("lang").lang = state.lang === "en" ? "zh-Hans" : "en";
  byId("theme").textContent = say(`theme-${state.theme}`);
  if (state.theme === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = state.theme;
};

const codes = Object.keys(DATA.languages);
const wire = (id, event, action) => byId(id).addEventListener(event, action);
wire("lang", "click", () => { state.lang = codes[(codes.indexOf(state.lang) + 1) % codes.length]; rebuild("#lang"); });
wire("theme", "click", () => { state.theme = { auto: "light", light: "dark", dark: "auto" }[state.theme]; translate(); keepHash(); });
wire("link", "click", () => copyText(location.href.split("#")[0] + writeHash()));
wire("python", "click", () => copyText(rowPython()));
wire("latex", "click", () => copyText(stepLatex()));
wire("print", "click", () => window.print());
wire("reset", "click", () => { const { lang, theme, step } = state; state = { ...initialState(), lang, theme, step }; byId("preset-why").textContent = ""; rebuild("#reset"); });
wire("add", "click", addClass);
wire("mode-hard", "click", () => setMode(false));
wire("mode-soft", "click", () => setMode(true));
wire("normalise", "click", () => { const total = sum(state.h); if (total > 0) { state.h = state.h.map((v) => v / total); rebuild("#normalise"); } });
wire("temperature", "input", (event) => { const v = 10 ** Number(event.target.value); state.T = Math.abs(v - 1) < 0.03 ? 1 : Number(v.toPrecision(3)); restart(); });
wire("eta", "input", (event) => { state.eta = Number((10 ** Number(event.target.value)).toPrecision(3)); refresh({ keepTrail: true }); });
wire("back", "click", () => goTo(state.step - 1));
wire("forth", "click", () => goTo(state.step + 1));
wire("steps", "change", (event) => goTo(Number(event.target.value)));
wire("descend", "click", () => { run(false); descend(); announce(say("announce-loss", { loss: short(model.L, 4) })); });
wire("run", "click", () => run(!running()));
wire("start-over", "click", () => { const { lang, theme, step, eta } = state; const first = readHash(startHash); state = { ...first, lang, theme, step, eta }; rebuild("#start-over"); });

document.addEventListener("keydown", (event) => {
  const busy = event.target.closest("input, select, textarea, .heat, .wide, .formulas, .numbers");
  if (busy || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "ArrowRight" || event.key === "ArrowLeft") { event.preventDefault(); goTo(state.step + (event.key === "ArrowRight" ? 1 : -1)); }
});
window.addEventListener("hashchange", () => { if (location.hash !== writeHash()) { state = readHash(location.hash); rebuild(); } });
let resized = 0;
window.addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => { drawBars(); drawDescent(); }, 120); });

let startHash = "";
if (location.hash.length > 1) state = readHash(location.hash);
startHash = writeHash();
document.documentElement.classList.add("live");
rebuild();
// What a test, or a curious reader, can ask of the page.
window.softxent = Object.freeze({ derive, targets, race, exactRow, toNumber, ulpsOff, formats: FORMATS, show, short, state: () => structuredClone(state), model: () => structuredClone(model) });
