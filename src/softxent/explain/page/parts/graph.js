// The network of softmax regression and its computation graph: values above the edges, derivatives below.
const drawGraph = () => {
  const n = state.x.length, shown = n <= 6 ? [...Array(n).keys()] : [...new Set([0, 1, focusOf(), rivalOf(), n - 1])].sort((a, b) => a - b);
  const rowHeight = 78, top = 52, height = top + rowHeight * shown.length + 16, width = 920;
  const X = { u: 40, z: 190, e: 350, S: 470, a: 640, L: 850 };
  const y = (k) => top + rowHeight * (k + 0.5), centre = top + (rowHeight * shown.length) / 2;
  const edges = [], nodes = [], texts = [];
  const edge = (x1, y1, x2, y2, value, grad, cls = "") => {
    edges.push(svg("path", { d: `M${x1},${y1} C${(x1 + x2) / 2},${y1} ${(x1 + x2) / 2},${y2} ${x2},${y2}`, class: `edge ${cls}` }));
    const [mx, my] = [(x1 + x2) / 2, (y1 + y2) / 2];
    if (value !== null) texts.push(svg("text", { x: mx, y: my - 6, class: "forward", "text-anchor": "middle" }, value));
    if (grad !== null) texts.push(svg("text", { x: mx, y: my + 15, class: "backward", "text-anchor": "middle" }, grad));
  };
  const node = (x, cy, text, cls = "") => {
    nodes.push(svg("circle", { cx: x, cy, r: 20, class: `node ${cls}` }));
    nodes.push(svg("text", { x, y: cy + 5, class: "in-node", "text-anchor": "middle" }, text));
  };
  const below = (text) => [...text].map((c) => "₀₁₂₃₄₅₆₇₈₉"[Number(c)]).join("");
  const inputs = [centre - 56, centre, centre + 56];
  inputs.forEach((cy, k) => {
    shown.forEach((_, r) => edges.push(svg("line", { x1: X.u + 20, y1: cy, x2: X.z - 20, y2: y(r), class: "weight" })));
    node(X.u, cy, ["u₀", "⋮", "uₚ"][k], "input");
  });
  shown.forEach((i, r) => {
    const cy = y(r), label = i === focusOf() ? "label" : "";
    edge(X.z + 20, cy, X.e - 20, cy, short(model.z[i], 4), short(model.byZ[i], 3), label);
    edges.push(svg("path", { d: `M${X.e + 20},${cy} C${X.S - 40},${cy} ${X.S - 50},${centre} ${X.S - 24},${centre}`, class: "edge faint" }));
    edges.push(svg("path", { d: `M${X.S + 24},${centre} C${X.S + 70},${centre} ${X.a - 70},${cy} ${X.a - 20},${cy}`, class: "edge faint" }));
    // The exponential's own way to its share passes over the sum.
    edges.push(svg("path", { d: `M${X.e + 18},${cy - 9} C${X.e + 110},${cy - 34} ${X.a - 110},${cy - 34} ${X.a - 18},${cy - 9}`, class: `edge ${label}` }));
    texts.push(svg("text", { x: (X.e + X.a) / 2 + 70, y: cy - 33, class: "forward", "text-anchor": "middle" }, short(model.e[i], 4)));
    edge(X.a + 20, cy, X.L - 30, centre, null, null, label);
    texts.push(svg("text", { x: X.a + 66, y: cy - 6 + (centre - cy) * 0.12, class: "forward", "text-anchor": "middle" }, short(model.a[i], 4)));
    texts.push(svg("text", { x: X.a + 66, y: cy + 15 + (centre - cy) * 0.12, class: "backward", "text-anchor": "middle" }, short(model.byA[i], 3)));
    node(X.z, cy, `z${below(String(i))}`, label); node(X.e, cy, "exp"); node(X.a, cy, `a${below(String(i))}`, label);
    if (r + 1 < shown.length && shown[r + 1] > i + 1) [X.z, X.e, X.a].forEach((x) => texts.push(svg("text", { x, y: cy + 44, class: "in-node", "text-anchor": "middle" }, "⋮")));
  });
  nodes.push(svg("circle", { cx: X.S, cy: centre, r: 25, class: "node sum" }), svg("text", { x: X.S, y: centre - 1, class: "in-node", "text-anchor": "middle" }, "Σ"), svg("text", { x: X.S, y: centre + 14, class: "small", "text-anchor": "middle" }, short(model.S, 4)));
  nodes.push(svg("circle", { cx: X.L, cy: centre, r: 32, class: "node loss" }), svg("text", { x: X.L, y: centre - 3, class: "in-node", "text-anchor": "middle" }, "L"), svg("text", { x: X.L, y: centre + 14, class: "small", "text-anchor": "middle" }, short(model.L, 4)));
  const heads = [[X.u, "graph-inputs"], [X.z, "graph-logits"], [X.e, "graph-exp"], [X.S, "graph-sum"], [X.a, "graph-shares"], [X.L, "graph-loss"]];
  const titles = heads.map(([x, key]) => svg("text", { x, y: 22, class: "lane", "text-anchor": "middle" }, say(key)));
  byId("graph").replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": say("graph-label") }, edges, nodes, texts, titles));
};
