// softxent's algorithm in float64: the rounding error of x − m carried on, log1p, and 1 − a from the other classes.
const sum = (values) => {
  // Neumaier's compensated sum.
  let total = 0, lost = 0;
  for (const v of values) {
    const next = total + v;
    if (Number.isFinite(next)) lost += Math.abs(total) >= Math.abs(v) ? (total - next) + v : (v - next) + total;
    total = next;
  }
  return total + lost;
};

const difference = (a, b) => {
  const d = a - b;
  if (!Number.isFinite(d)) return [d, 0];
  const back = d - a;
  const lost = (a - (d - back)) - (b + back);
  return [d, Number.isFinite(lost) ? lost : 0];
};

const targets = (h, w, eps) => h.map((v, i) => (w ? w[i] : 1) * ((1 - eps) * v + eps / h.length));

const derive = (x, y, T = 1) => {
  const n = x.length, all = [...x.keys()];
  const peak = Math.max(...x), top = x.indexOf(peak);
  const pairs = x.map((v) => difference(v, peak));
  const d = pairs.map(([v]) => (v === -Infinity ? v : v / T));
  const lost = pairs.map(([v, l]) => {
    if (!Number.isFinite(v) || T === Infinity) return 0;
    const q = v / T;
    // What the division by T lost besides: the remainder v − q·T, exact through a split product.
    return (l + remainder(v, q, T)) / T;
  });
  const e = d.map((v, i) => { const p = Math.exp(v); return p ? p + p * lost[i] : p; });
  const rest = sum(all.filter((i) => i !== top).map((i) => e[i]));
  const S = 1 + rest, logS = Math.log1p(rest);
  const others = all.map((i) => sum(all.filter((j) => j !== i).map((j) => e[j])));
  const a = e.map((v) => v / S), q = others.map((v) => v / S);
  const loga = d.map((v, i) => v - logS + lost[i]);
  const Y = sum(y);
  const L = sum(all.filter((i) => y[i] !== 0).map((i) => -y[i] * loga[i]));
  const byA = all.map((i) => (y[i] === 0 ? 0 : -y[i] / a[i]));
  const J = all.map((i) => all.map((j) => (i === j ? a[i] * q[i] : -a[i] * a[j])));
  const onlyOne = y.filter((v) => v !== 0).length === 1;
  // For a single target the sum of the other targets is exactly 0 there, and nothing cancels.
  const byZ = all.map((i) => {
    const elsewhere = onlyOne ? (y[i] !== 0 ? 0 : Y) : sum([...all.filter((j) => j !== i).map((j) => y[j])]);
    return n === 1 ? 0 : a[i] * elsewhere - y[i] * q[i];
  });
  const g = byZ.map((v) => v / T);
  const entropy = sum(y.filter((v) => v > 0).map((v) => -v * Math.log(v)));
  const z = x.map((v) => (v === -Infinity ? v : v / T));
  return { x, z, m: peak / T, d, lost, e, S, logS, a, q, loga, y, Y, L, byA, J, byZ, g, entropy, T, top };
};

const split = (v) => { const c = 134217729 * v, high = c - (c - v); return [high, v - high]; };

const remainder = (v, q, T) => {
  const p = q * T;
  if (T === 1 || !Number.isFinite(p) || Math.abs(q) > 1e290 || Math.abs(T) > 1e290 || p === 0) return 0;
  const [qh, ql] = split(q), [th, tl] = split(T);
  return (v - p) - (((qh * th - p) + qh * tl + ql * th) + ql * tl);
};
