// The state: what the reader can change. It is kept in the address's hash, so that a link restores it.
const DATA = JSON.parse(document.getElementById("data").textContent);
const LIMIT = 64;
const fromJson = (v) => (typeof v === "string" ? Number(v.replace("inf", "Infinity")) : v);

const initialState = () => {
  const s = DATA.state;
  return {
    x: s.x.map(fromJson), names: [...s.names], soft: s.t === null, t: s.t ?? s.h.indexOf(Math.max(...s.h)), h: [...s.h],
    w: s.w, eps: s.eps, T: fromJson(s.T), eta: s.eta, lang: s.lang, theme: "auto", step: 0, cell: null,
  };
};

let state = initialState();
let model, pristine = true;

const labelsOf = (s) => (s.soft ? s.h : s.x.map((_, i) => Number(i === s.t)));
const compute = (s) => {
  const h = labelsOf(s);
  return { ...derive(s.x, targets(h, s.w, s.eps), s.T), h };
};

const sameRow = (a, b) => a.length === b.length && a.every((v, i) => Object.is(v, b[i]));
const isPristine = () => {
  const first = initialState();
  return sameRow(state.x, first.x) && sameRow(labelsOf(state), labelsOf(first)) && state.T === first.T;
};

// A quantity by its letter: its number, and its text, which is Python's own while nothing has been changed.
const KEYS = { "L/a": "byA", "L/z": "byZ", "L/x": "g", "ln a": "loga", "H(y)": "entropy" };
const lookup = (name, index) => {
  if (name === "T") return { value: state.T, text: show(state.T) };
  if (name === "η") return { value: state.eta, text: show(state.eta) };
  if (name === "x′" || name === "a′") {
    const value = next()[name === "x′" ? "x" : "a"][index[0]];
    return { value, text: show(value) };
  }
  if (name === "s") { const value = state.x[index[0]] / sum(state.x); return { value, text: show(value) }; }
  if (name === "p") return lookup("a", index);
  const of = name === "a/z" ? model.J[index[0]]?.[index[1]] : model[KEYS[name] ?? name];
  if (of === undefined) return undefined;
  const value = Array.isArray(of) ? of[index[0]] : of;
  if (typeof value !== "number") return undefined;
  const kept = name === "a/z" ? DATA.exact[name][index[0]]?.[index[1]] : DATA.exact[name]?.[index[0] ?? 0];
  return { value, text: pristine && kept !== undefined ? kept : show(value) };
};
const textOf = (name, ...index) => lookup(name, index).text;

let nextCache = null;
const next = () => (nextCache ??= derive(state.x.map((v, i) => (Number.isFinite(v) ? v - state.eta * model.g[i] : v)), model.y, state.T));

const focusOf = () => (state.soft ? model.y.indexOf(Math.max(...model.y)) : state.t);
const rivalOf = () => {
  const others = state.x.map((v, i) => [v, i]).filter(([, i]) => i !== focusOf());
  return others.length ? others.reduce((b, o) => (o[0] > b[0] ? o : b))[1] : focusOf();
};

const writeHash = () => {
  const q = new URLSearchParams();
  q.set("z", state.x.map(show).join(","));
  if (state.soft) q.set("y", state.h.map(show).join(",")); else q.set("t", String(state.t));
  if (state.T !== 1) q.set("T", show(state.T));
  if (state.eta !== 1) q.set("eta", show(state.eta));
  if (state.eps) q.set("eps", show(state.eps));
  if (state.w) q.set("w", state.w.map(show).join(","));
  if (state.names.some((name, i) => name !== String(i))) q.set("names", JSON.stringify(state.names));
  q.set("step", DATA.steps[state.step].id);
  q.set("lang", state.lang);
  if (state.theme !== "auto") q.set("theme", state.theme);
  return `#${q}`;
};

// Only what is well formed is taken from a link; anything else leaves the state as it was.
const readHash = (hash) => {
  const q = new URLSearchParams(hash.replace(/^#/, "")), s = initialState();
  const numbers = (key) => (q.has(key) ? q.get(key).split(",").map(parseNumber) : null);
  const z = numbers("z");
  if (z && z.length <= LIMIT && z.every((v) => !Number.isNaN(v) && v < Infinity) && z.some(Number.isFinite)) {
    s.x = z; s.names = z.map((_, i) => String(i)); s.h = z.map((_, i) => Number(i === 0)); s.t = 0; s.soft = false; s.w = null; s.eps = 0; s.T = 1;
  }
  const n = s.x.length, y = numbers("y"), w = numbers("w"), t = Number(q.get("t") ?? NaN);
  if (y && y.length === n && y.every(Number.isFinite)) { s.soft = true; s.h = y; s.t = y.indexOf(Math.max(...y)); }
  else if (Number.isInteger(t) && t >= 0 && t < n) { s.soft = false; s.t = t; s.h = s.x.map((_, i) => Number(i === t)); }
  if (w && w.length === n && w.every(Number.isFinite)) s.w = w;
  const positive = (key, most) => { const v = q.get(key) === "inf" ? Infinity : parseNumber(q.get(key) ?? ""); return v > 0 && v <= most ? v : null; };
  s.T = positive("T", Infinity) ?? s.T; s.eta = positive("eta", 1e6) ?? s.eta; s.eps = positive("eps", 1) ?? s.eps;
  try {
    const names = JSON.parse(q.get("names") ?? "null");
    if (Array.isArray(names) && names.length === n) s.names = names.map((name) => String(name).slice(0, 80));
  } catch { /* a damaged link: the names stay numbers */ }
  if (Object.hasOwn(DATA.languages, q.get("lang") ?? "")) s.lang = q.get("lang");
  if (["light", "dark"].includes(q.get("theme"))) s.theme = q.get("theme");
  const step = DATA.steps.findIndex((one) => one.id === q.get("step"));
  s.step = Math.max(0, step);
  return s;
};
