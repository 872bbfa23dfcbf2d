// The four formats, and three algorithms in each: every operation rounded once.
const FORMATS = {
  float16: { bits: 11, smallest: -24, largest: 65504 },
  bfloat16: { bits: 8, smallest: -133, largest: 3.3895313892515355e38 },
  float32: { bits: 24, smallest: -149, largest: 3.4028234663852886e38 },
  float64: { bits: 53, smallest: -1074, largest: Number.MAX_VALUE },
};

const exponentOf = (x) => {
  // The k with 2^(k−1) ≤ |x| < 2^k.
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Math.abs(x));
  const biased = view.getUint32(0) >>> 20;
  return biased ? biased - 1022 : exponentOf(x * 2 ** 64) - 64;
};

const spacing = (x, f) => Math.max(exponentOf(x) - f.bits, f.smallest);

const scale = (x, k) => (k > 1000 ? x * 2 ** 1000 * 2 ** (k - 1000) : k < -1000 ? x * 2 ** -1000 * 2 ** (k + 1000) : x * 2 ** k);

const rounder = (f) => (x) => {
  if (f.bits === 53 || x === 0 || !Number.isFinite(x)) return x;
  if (Math.abs(x) >= 2 * f.largest) return Math.sign(x) * Infinity;
  const k = spacing(x, f), u = scale(x, -k), low = Math.floor(u), part = u - low;
  const even = part > 0.5 || (part === 0.5 && low % 2 !== 0) ? low + 1 : low;
  const value = scale(even, k);
  return Math.abs(value) > f.largest ? Math.sign(x) * Infinity : value;
};

const plainSoftmax = (z, y, r, shift) => {
  const d = shift ? ((m) => z.map((v) => r(v - m)))(Math.max(...z)) : z;
  const e = d.map((v) => r(Math.exp(v)));
  const total = e.reduce((s, v) => r(s + v), 0);
  const p = e.map((v) => r(v / total));
  const logTotal = r(Math.log(total));
  let loss = 0;
  z.forEach((_, i) => {
    if (y[i]) loss = shift ? r(loss + r(y[i] * r(logTotal - d[i]))) : r(loss - r(y[i] * r(Math.log(p[i]))));
  });
  const mass = sum(y);
  return { p, loss, gradient: p.map((v, i) => r(r(v * mass) - y[i])) };
};

const carefulSoftmax = (z, y, r) => {
  const m = Math.max(...z), top = z.indexOf(m);
  const d = [], lost = [], e = [];
  for (const v of z) {
    const s = r(v - m), back = r(s - v);
    let left = Number.isFinite(s) ? r(r(v - r(s - back)) - r(m + back)) : 0;
    left = Number.isFinite(left) ? left : 0;
    const power = r(Math.exp(s));
    d.push(s); lost.push(left); e.push(power ? r(power + r(power * left)) : power);
  }
  const without = (k) => e.reduce((s, v, i) => (i === k ? s : r(s + v)), 0);
  const rest = without(top), total = r(1 + rest), logTotal = r(Math.log1p(rest)), mass = sum(y);
  let loss = 0;
  const p = [], gradient = [];
  z.forEach((_, i) => {
    p.push(r(e[i] / total));
    if (y[i]) loss = r(loss + r(y[i] * r(r(logTotal - d[i]) - lost[i])));
    gradient.push(r(r(p[i] * r(mass - y[i])) - r(r(y[i] * without(i)) / total)));
  });
  return { p, loss, gradient };
};

const ALGORITHMS = {
  naive: (z, y, r) => plainSoftmax(z, y, r, false),
  shifted: (z, y, r) => plainSoftmax(z, y, r, true),
  softxent: carefulSoftmax,
};

const race = (algorithm, z, y, name) => {
  const f = FORMATS[name], outer = rounder(f);
  const half = f.bits < 24 && algorithm === "softxent";
  const result = ALGORITHMS[algorithm](z.map(outer), y.map(outer), half ? rounder(FORMATS.float32) : outer);
  if (half) { result.p = result.p.map(outer); result.gradient = result.gradient.map(outer); }
  return result;
};
