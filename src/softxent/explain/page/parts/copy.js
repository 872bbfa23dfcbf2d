// What can be taken along: a link, the step as LaTeX, the row as Python.
const copyText = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { "aria-hidden": "true", style: "position:fixed;top:-99rem" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  byId("copied").value = text;
  toast(say("copied"));
};

const stepLatex = () => {
  const step = DATA.steps[state.step];
  const forms = [...stepFormulas(step).map((f) => f.form), ...stepLines({ ...step, formulas: stepFormulas(step) })];
  return forms.map((form) => `\\[ ${latex(form)} \\]`).join("\n");
};

// JSON's strings are Python's too, once no character above ASCII is left in them.
const pythonString = (text) => JSON.stringify(text).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
const pythonNumber = (v) => (v === -Infinity ? "-np.inf" : v === Infinity ? "np.inf" : show(v));
const pythonText = (text) => (/[\ud800-\udfff]/.test(text) ? `${pythonString(text)}.encode("utf-16", "surrogatepass").decode("utf-16")` : pythonString(text));

const rowPython = () => {
  const options = [];
  if (state.T !== 1) options.push(`temperature=${pythonNumber(state.T)}`);
  if (state.eps) options.push(`label_smoothing=${pythonNumber(state.eps)}`);
  if (state.w) options.push(`weight=[${state.w.map(pythonNumber).join(", ")}]`);
  const named = state.names.some((name, i) => name !== String(i)) ? [`names=[${state.names.map(pythonText).join(", ")}]`] : [];
  const list = (all) => (all.length ? `, ${all.join(", ")}` : "");
  const label = state.soft ? `np.array([${state.h.map((v) => (Number.isInteger(v) ? `${v}.0` : show(v))).join(", ")}])` : String(state.t);
  return [
    "import numpy as np", "import softxent", "from softxent.explain import explain", "",
    `logits = np.array([${state.x.map(pythonNumber).join(", ")}], dtype=np.float64)`, `label = ${label}`,
    `loss, grad = softxent.cross_entropy_value_and_grad(logits, label${list([...options, "reduction=\"sum\""])})`, `print(loss, grad)`, `print(explain(logits, label${list([...options, ...named])}))`, "",
  ].join("\n");
};
