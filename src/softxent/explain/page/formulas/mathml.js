// Formulas as MathML elements, and as LaTeX: one walk, two ways to write.
const MATH = "http://www.w3.org/1998/Math/MathML";
const m = (tag, ...children) => {
  const element = document.createElementNS(MATH, tag);
  for (const child of children.flat()) element.append(child);
  return element;
};
const mo = (sign, prefix) => { const e = m("mo", sign); if (prefix) e.setAttribute("form", "prefix"); return e; };
const join = (parts, between) => parts.flatMap((part, k) => (k ? [between(), part] : [part]));
const ATOM = 5, POWER = 4, PRODUCT = 3, SUM = 2, CHAIN = 1;

const mathWriter = {
  bracket: (a) => m("mrow", mo("("), a, mo(")")),
  symbol: (name, index) => {
    if (!index.length) return m("mi", name);
    const below = index.map((k) => m(/^\d+$/.test(k) ? "mn" : "mi", k));
    return m("msub", m("mi", name), m("mrow", index.some((k) => k.length > 1) ? join(below, () => mo(",")) : below));
  },
  number: (digits) => {
    if (digits.startsWith("-")) return m("mrow", mo("−", true), mathWriter.number(digits.slice(1)));
    if (digits === "inf") return m("mi", "∞");
    const [mantissa, exponent] = digits.split("e");
    if (exponent === undefined) return m("mn", digits);
    const power = m("mn", String(Math.abs(Number(exponent))));
    return m("mrow", m("mn", mantissa), mo("×"), m("msup", m("mn", "10"), exponent.startsWith("-") ? m("mrow", mo("−", true), power) : power));
  },
  dots: () => mo("⋯"),
  chain: (sides) => m("mrow", join(sides, () => mo("="))),
  minus: (a) => m("mrow", mo("−", true), a),
  total: (terms) => m("mrow", terms.flatMap(([sign, term], k) => (k ? [mo(sign), term] : [term]))),
  product: (factors) => m("mrow", join(factors, () => mo("·"))),
  fraction: (a, b) => m("mfrac", m("mrow", a), m("mrow", b)),
  power: (a, n) => m("msup", m("mrow", a), m("mn", n)),
  exponential: (a) => m("msup", m("mi", "e"), m("mrow", a)),
  named: (name, a) => m("mrow", m("mi", name), (() => { const s = m("mspace"); s.setAttribute("width", "0.17em"); return s; })(), a),
  sigma: (i, other, body) => m("mrow", m("munder", mo("∑"), m("mrow", m("mi", i), other === null ? [] : [mo("≠"), m(/^\d/.test(other) ? "mn" : "mi", other)])), body),
  partial: (f, x) => m("mfrac", m("mrow", mo("∂"), f), m("mrow", mo("∂"), x)),
  second: (f, x, y) => m("mfrac", m("mrow", m("msup", mo("∂"), m("mn", "2")), f), m("mrow", mo("∂"), x, mo("∂"), y)),
  transpose: (a) => m("msup", m("mrow", a), m("mi", "T")),
  call: (name, args) => m("mrow", m("mi", name), m("mrow", mo("("), join(args, () => mo(",")), mo(")"))),
};

const write = (node, w) => {
  const [kind, ...p] = node;
  const within = (part, level) => { const [a, own] = write(part, w); return own >= level ? a : w.bracket(a); };
  switch (kind) {
    case "sym": return [w.symbol(p[0], p.slice(1)), ATOM];
    case "num": return [w.number(p[0]), p[0].startsWith("-") ? SUM : ATOM];
    case "dots": return [w.dots(), ATOM];
    case "eq": return [w.chain(p.map((part) => within(part, SUM))), CHAIN];
    case "add": return [w.total(p.map((part, k) => (k && part[0] === "neg" ? ["−", within(part[1], PRODUCT)] : ["+", within(part, k ? PRODUCT : SUM)]))), SUM];
    case "neg": return [w.minus(within(p[0], PRODUCT)), SUM];
    case "mul": return [w.product(p.map((part) => within(part, part[0] === "sum" ? POWER : PRODUCT))), PRODUCT];
    case "div": return [w.fraction(within(p[0], CHAIN), within(p[1], CHAIN)), PRODUCT];
    case "pow": return [w.power(within(p[0], ATOM), p[1][1]), POWER];
    case "exp": return [w.exponential(within(p[0], CHAIN)), POWER];
    case "ln": case "max": return [w.named(kind, within(p[0], ATOM)), PRODUCT];
    case "sum": return [w.sigma(p[0], p[2], within(p[1], PRODUCT)), PRODUCT];
    case "d": return [w.partial(within(p[0], ATOM), within(p[1], ATOM)), POWER];
    case "dd": return [w.second(...p.map((part) => within(part, ATOM))), POWER];
    case "delta": return [w.symbol("δ", p), ATOM];
    case "transpose": return [w.transpose(within(p[0], ATOM)), POWER];
    case "log1p": case "diag": return [w.call(kind, [write(p[0], w)[0]]), ATOM];
    default: return [w.call(p[0], p.slice(1).map((part) => write(part, w)[0])), ATOM];
  }
};

// A chain of equals, each below the one before: for what would be too wide for its place.
const stacked = (node) => {
  const [left, ...sides] = node.slice(1).map((side) => write(side, mathWriter)[0]);
  const rows = sides.map((side, k) => m("mtr", m("mtd", k ? [] : left), m("mtd", mo("=")), m("mtd", side)));
  const element = m("math", m("mtable", rows));
  element.setAttribute("display", "block");
  return element;
};

const mathml = (node, block = false) => {
  const element = m("math", m("mrow", write(node, mathWriter)[0]));
  if (block) element.setAttribute("display", "block");
  return element;
};
