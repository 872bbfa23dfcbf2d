// Exact values by integers of 256 bits: what the algorithms are measured against. A number is [m, k], m·2^k.
const BITS = 256n;

const trim = ([m, k]) => {
  const size = BigInt((m < 0n ? -m : m).toString(2).length) - BITS;
  return size > 0n ? [m >> size, k + size] : [m, k];
};

const big = (x) => {
  const k = x === 0 ? 0 : exponentOf(x) - 53;
  const half = Math.trunc(k / 2);
  return [BigInt(x * 2 ** -half * 2 ** -(k - half)), BigInt(k)];
};

const plus = ([a, i], [b, j]) => {
  if (!a) return [b, j];
  if (!b) return [a, i];
  // What is far below the other's last bit cannot count.
  if (i - j > 4000n) return [a, i];
  if (j - i > 4000n) return [b, j];
  return trim(i > j ? [(a << (i - j)) + b, j] : [a + (b << (j - i)), i]);
};
const minus = ([m, k]) => [-m, k];
const times = ([a, i], [b, j]) => trim([a * b, i + j]);
const over = ([a, i], [b, j]) => trim([(a << (2n * BITS)) / b, i - j - 2n * BITS]);
const ONE = [1n, 0n], ZERO = [0n, 0n];

const toNumber = ([m, k]) => {
  if (!m) return 0;
  const negative = m < 0n, digits = (negative ? -m : m).toString(2);
  const keep = BigInt(Math.max(0, digits.length - 64));
  const sized = Number((negative ? -m : m) >> keep), e = Number(k + keep);
  const value = e < -1000 ? sized * 2 ** -1000 * 2 ** Math.max(e + 1000, -1074) : e > 900 ? Infinity : sized * 2 ** e;
  return negative ? -value : value;
};

const LN2 = (() => {
  // ln 2 = Σ 1/(n·2^n), in units of 2^−320.
  let value = 0n;
  for (let n = 1n; n < 330n; n++) value += (1n << 320n) / (n << n);
  return [value, -320n];
})();

const bigExp = (x) => {
  const n = BigInt(Math.round(toNumber(x) / Math.LN2));
  const r = plus(x, minus(times([n, 0n], LN2)));
  let term = ONE, total = ONE;
  for (let k = 1n; k < 60n; k++) {
    term = over(times(term, r), [k, 0n]);
    if (!term[0]) break;
    total = plus(total, term);
  }
  return [total[0], total[1] + n];
};

const bigLog1p = (r) => {
  if (!r[0]) return ZERO;
  const size = toNumber(r);
  if (size < 1e-9) {
    let power = r, total = r;
    for (let n = 2n; n < 12n; n++) { power = minus(times(power, r)); total = plus(total, over(power, [n, 0n])); }
    return total;
  }
  let y = big(Math.log1p(size));
  for (let k = 0; k < 4; k++) y = plus(y, plus(times(plus(ONE, r), bigExp(minus(y))), [-1n, 0n]));
  return y;
};

// Loss and gradient at float64 logits and targets, as [m, k]; null where the row has no value, infinity as a number.
const exactRow = (z, y) => {
  const peak = Math.max(...z);
  if (!Number.isFinite(peak)) return null;
  const top = z.indexOf(peak);
  const d = z.map((v) => (v === -Infinity ? null : plus(big(v), minus(big(peak)))));
  // Below e^−5000 nothing is left in any format.
  const e = d.map((v) => (v === null || toNumber(v) < -5000 ? ZERO : bigExp(v)));
  const without = (k) => e.reduce((s, v, i) => (i === k ? s : plus(s, v)), ZERO);
  const rest = without(top), S = plus(ONE, rest), logS = bigLog1p(rest);
  let loss = ZERO, infinite = 0;
  y.forEach((v, i) => {
    if (!v) return;
    if (d[i] === null) infinite += Math.sign(v) * Infinity;
    else loss = plus(loss, times(big(v), plus(logS, minus(d[i]))));
  });
  const Y = y.reduce((s, v) => plus(s, big(v)), ZERO);
  const gradient = y.map((v, i) => {
    const pushed = over(times(e[i], plus(Y, minus(big(v)))), S);
    return plus(pushed, minus(over(times(big(v), without(i)), S)));
  });
  return { loss: infinite || loss, gradient };
};

const ulpsOff = (got, exact, f) => {
  if (exact === null) return Number.isNaN(got) ? 0 : null;
  if (Number.isNaN(got)) return Infinity;
  const value = typeof exact === "number" ? exact : toNumber(exact);
  const rounded = rounder(f)(value);
  if (!Number.isFinite(got) || !Number.isFinite(rounded)) return got === rounded ? 0 : Infinity;
  const k = value === 0 ? f.smallest : spacing(value, f);
  return Math.abs(toNumber(times(plus(big(got), minus(exact)), [1n, BigInt(-k)])));
};
