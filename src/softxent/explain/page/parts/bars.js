// The picture of the whole matter: the arrow from a to y is the step against the gradient; below, the two moves it is made of.
const drawBars = () => {
  const n = state.x.length, place = byId("bars");
  const room = Math.max(300, Math.min(760, place.clientWidth || 640));
  const column = Math.max(30, Math.min(200, (room - 64) / n)), left = 46, width = Math.max(room, left + n * column + 18);
  const top = 28, height = room > 500 ? 260 : 200, base = top + height, lane = base + 122, reach = 62;
  // With a target that sums to Y the gradient is a·Y − y: the bars are then a·Y, so that each arrow keeps its length.
  const pushed = model.a.map((a) => (unitMass() ? a : a * model.Y));
  byId("key-a").textContent = say(unitMass() ? "key-a" : "key-a-mass");
  const most = Math.max(1, ...model.y, ...pushed), least = Math.min(0, ...model.y, ...pushed);
  const y = (v) => base - (clamp(v, least, most) / most) * height;
  const parts = [];
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(svg("line", { x1: left, x2: width - 12, y1: y(tick), y2: y(tick), class: tick ? "grid" : "axis" }));
    parts.push(svg("text", { x: left - 8, y: y(tick) + 4, class: "tick", "text-anchor": "end" }, String(tick)));
  }
  parts.push(svg("text", { x: left, y: 14, class: "lane" }, say("lane-probabilities")));
  parts.push(svg("text", { x: left, y: base + 46, class: "lane" }, say("lane-logits")));
  parts.push(svg("line", { x1: left, x2: width - 12, y1: lane, y2: lane, class: "axis" }));
  const strength = Math.max(1e-300, ...model.y.map(Math.abs), ...model.a.map((v) => v * Math.abs(model.Y)), 1);
  pushed.forEach((a, i) => {
    const middle = left + column * (i + 0.5), bar = Math.min(64, column * 0.46);
    const group = svg("g", { class: i === focusOf() ? "column label" : "column" });
    group.append(svg("title", {}, `${nameOf(i)}: a = ${textOf("a", i)}, y = ${textOf("y", i)}, ∂L/∂z = ${textOf("L/z", i)}`));
    group.append(svg("rect", { x: middle - bar / 2, width: bar, y: Math.min(base, y(a)), height: Math.abs(base - y(a)), class: "bar-a", rx: 3 }));
    if (model.y[i]) group.append(svg("rect", { x: middle - bar / 2 - 4, width: bar + 8, y: Math.min(base, y(model.y[i])), height: Math.abs(base - y(model.y[i])), class: "bar-y", rx: 4 }));
    group.append(arrow(middle, y(a), y(model.y[i]), model.byZ[i] > 0 ? "push" : "pull", 3.5));
    if (column > 58) group.append(svg("text", { x: middle, y: base + 17, class: "value", "text-anchor": "middle" }, short(model.a[i], 3)));
    const push = (a / strength) * reach, pull = (model.y[i] / strength) * reach, gap = Math.min(9, column * 0.16);
    group.append(arrow(middle - gap, lane, lane + push, "push", 2.5), arrow(middle + gap, lane, lane - pull, "pull", 2.5));
    const name = [...nameOf(i)], fit = Math.max(2, Math.floor(column / 8.5));
    group.append(svg("text", { x: middle, y: lane + reach + 24, class: "name", "text-anchor": "middle" }, name.length > fit ? `${name.slice(0, fit - 1).join("")}…` : nameOf(i)));
    parts.push(group);
  });
  const total = lane + reach + 36;
  const described = say(state.soft ? "bars-label-soft" : "bars-label", { n: String(n), loss: short(model.L), label: nameOf(focusOf()) });
  place.replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${total}`, width, height: total, role: "img", "aria-label": described }, parts));
};

// Vertical arrow; nothing where it would be shorter than its head.
const arrow = (x, from, to, kind, thick) => {
  const length = Math.abs(to - from), way = Math.sign(to - from), head = Math.min(9, length * 0.6);
  if (length < 1.5) return svg("g");
  return svg("g", { class: kind },
    svg("line", { x1: x, x2: x, y1: from, y2: to - way * head * 0.8, "stroke-width": thick }),
    svg("path", { d: `M${x},${to} l${-head * 0.62},${-way * head} h${head * 1.24} z` }));
};
