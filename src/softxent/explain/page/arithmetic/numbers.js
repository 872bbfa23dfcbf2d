// Numbers as text, as Python writes them, and from text.
const parseNumber = (text) => {
  const clean = String(text).trim().replace(/[−–]/g, "-").replace("∞", "inf").toLowerCase();
  if (/^-inf(inity)?$/.test(clean)) return -Infinity;
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/.test(clean) ? Number(clean) : NaN;
};

const show = (x) => {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (x === 0) return "0";
  const size = Math.abs(x);
  const [mantissa, exponent] = x.toExponential().split("e");
  return size >= 1e16 || size < 1e-4 ? scientific(mantissa, exponent) : size >= 1e21 ? String(x) : plain(mantissa, Number(exponent));
};

const scientific = (mantissa, exponent) => {
  const n = Number(exponent);
  return `${mantissa}e${n < 0 ? "-" : "+"}${String(Math.abs(n)).padStart(2, "0")}`;
};

const plain = (mantissa, exponent) => {
  const sign = mantissa.startsWith("-") ? "-" : "";
  const digits = mantissa.replace("-", "").replace(".", "");
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const rest = digits.slice(exponent + 1);
  return rest ? `${sign}${whole}.${rest}` : sign + whole;
};

const short = (x, digits = 6) => {
  if (!Number.isFinite(x) || x === 0) return show(x);
  let [mantissa, exponent] = x.toExponential(digits - 1).split("e");
  mantissa = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  const n = Number(exponent);
  return n >= -4 && n < digits ? plain(mantissa, n) : scientific(mantissa, exponent);
};

const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
