// Formulas as data: the same tuples as in Python, and the same way to put numbers into them.
const MAX_TERMS = 4;

const bindings = (each, focus, rival, n) => {
  const few = n <= MAX_TERMS ? [...Array(n).keys()] : [...new Set([focus, rival])].sort((a, b) => a - b);
  const base = { t: focus, r: rival };
  if (each === "once") return [base];
  if (each === "i" || each === "j") return few.map((k) => ({ ...base, [each]: k }));
  if (each === "same") return [{ ...base, i: focus, j: focus }];
  if (each === "other") return rival === focus ? [] : [{ ...base, i: rival, j: focus }];
  return [];
};

const bindIndices = (node, bind) => {
  if (node[0] === "sym") return ["sym", node[1], ...node.slice(2).map((k) => (k in bind ? String(bind[k]) : k))];
  if (node[0] === "num") return node;
  return node.map((part) => (Array.isArray(part) ? bindIndices(part, bind) : part));
};

const indicesOf = (parts, bind) => parts.map((k) => (k in bind ? bind[k] : Number(k)));

// The entry {value, text} of a quantity or of a derivative; undefined for anything else.
const entryOf = (node, lookup, bind) => {
  if (node[0] === "sym") return lookup(node[1], indicesOf(node.slice(2), bind));
  if (node[0] === "d" && node[1][0] === "sym") {
    return lookup(`${node[1][1]}/${node[2][1]}`, indicesOf([...node[1].slice(2), ...node[2].slice(2)], bind));
  }
  if (node[0] === "ln" && node[1][0] === "sym") return lookup(`ln ${node[1][1]}`, indicesOf(node[1].slice(2), bind));
  if (node[0] === "neg") return combined(node, lookup, bind, ([v]) => -v);
  if (node[0] === "mul") return combined(node, lookup, bind, (vs) => vs.reduce((p, v) => (p === 0 || v === 0 ? 0 : p * v), 1));
  return undefined;
};

const combined = (node, lookup, bind, f) => {
  const parts = node.slice(1).map((part) => entryOf(part, lookup, bind));
  if (parts.some((part) => part === undefined)) return undefined;
  const value = f(parts.map((part) => part.value)) || 0;
  return { value, text: show(value) };
};

const substitute = (node, lookup, bind, n) => {
  const kind = node[0];
  if (kind === "sym" || kind === "d") {
    const entry = entryOf(node, lookup, bind);
    return entry === undefined ? bindIndices(node, bind) : ["num", short(entry.value)];
  }
  if (kind === "num" || kind === "dots") return node;
  if (kind === "delta") return ["num", String(Number(bind[node[1]] === bind[node[2]]))];
  if (kind === "sum") {
    const classes = [...Array(n).keys()].filter((k) => node[3] === null || k !== bind[node[3]]);
    let terms = classes.map((k) => substitute(node[2], lookup, { ...bind, [node[1]]: k }, n));
    if (terms.length > MAX_TERMS) terms = [terms[0], terms[1], ["dots"], terms[terms.length - 1]];
    return terms.length === 0 ? ["num", "0"] : terms.length === 1 ? terms[0] : ["add", ...terms];
  }
  return node.map((part) => (Array.isArray(part) ? substitute(part, lookup, bind, n) : part));
};

const numberLines = (formula, lookup, focus, rival, n) =>
  bindings(formula.each, focus, rival, n).map((bind) => {
    const left = formula.form[1], right = formula.form.at(formula.side);
    const numbers = substitute(right, lookup, bind, n), entry = entryOf(left, lookup, bind);
    const sides = [bindIndices(left, bind), numbers];
    if (entry !== undefined && !(numbers[0] === "num" && numbers[1] === entry.text)) sides.push(["num", entry.text]);
    return ["eq", ...sides];
  });
