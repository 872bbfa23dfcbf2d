// The LaTeX writer of the same walk.
const LETTERS = { "δ": "\\delta", "σ": "\\sigma", "η": "\\eta", "ε": "\\varepsilon", "∇L": "\\nabla_{\\!z} L", "∇ₐL": "\\nabla_{\\!a} L", "x′": "x'", "a′": "a'" };
const texWriter = {
  bracket: (a) => `\\left(${a}\\right)`,
  symbol: (name, index) => (LETTERS[name] ?? name) + (index.length ? `_{${index.join(index.some((k) => k.length > 1) ? "," : "")}}` : ""),
  number: (digits) => {
    const [mantissa, exponent] = digits.replace("inf", "\\infty").split("e");
    return exponent === undefined || digits.includes("inf") ? digits.replace("inf", "\\infty") : `${mantissa}\\times 10^{${Number(exponent)}}`;
  },
  dots: () => "\\cdots",
  chain: (sides) => sides.join(" = "),
  minus: (a) => `-${a}`,
  total: (terms) => terms.map(([sign, term], k) => (k ? ` ${sign === "−" ? "-" : "+"} ${term}` : term)).join(""),
  product: (factors) => factors.join(" \\cdot "),
  fraction: (a, b) => `\\frac{${a}}{${b}}`,
  power: (a, n) => `${a}^{${n}}`,
  exponential: (a) => `e^{${a}}`,
  named: (name, a) => `\\${name} ${a}`,
  sigma: (i, other, body) => `\\sum_{${i}${other === null ? "" : ` \\neq ${other}`}} ${body}`,
  partial: (f, x) => `\\frac{\\partial ${f}}{\\partial ${x}}`,
  second: (f, x, y) => `\\frac{\\partial^2 ${f}}{\\partial ${x}\\,\\partial ${y}}`,
  transpose: (a) => `${a}^{\\mathsf{T}}`,
  call: (name, args) => `${name === "σ" ? "\\sigma" : `\\mathrm{${name}}`}\\left(${args.join(", ")}\\right)`,
};
const latex = (node) => write(node, texWriter)[0];
