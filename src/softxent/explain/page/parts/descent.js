// Gradient descent on the logits: push all, pull one, again and again; and the loss on its way down.
let trail = [], timer = 0;
const MAX_TRAIL = 400;

const restartTrail = () => { trail = [model.L]; };
const descend = () => {
  state.x = [...next().x];
  refresh({ keepTrail: true });
  trail.push(model.L);
  if (trail.length > MAX_TRAIL) trail.shift();
  drawDescent();
};
const running = () => timer !== 0;
const run = (on) => {
  clearInterval(timer);
  timer = on ? setInterval(descend, 160) : 0;
  byId("run").textContent = say(on ? "pause" : "run");
  byId("run").setAttribute("aria-pressed", String(on));
};

const drawDescent = () => {
  const width = Math.max(280, Math.min(640, byId("curve").clientWidth || 560)), height = 210, left = 52, base = 172, top = 14;
  // Where the next steps would lead, dashed.
  const ahead = [model.L];
  for (let k = 0, x = state.x; k < 24 && Number.isFinite(model.L); k++) {
    const here = derive(x, model.y, state.T);
    x = x.map((v, i) => (Number.isFinite(v) ? v - state.eta * here.g[i] : v));
    ahead.push(derive(x, model.y, state.T).L);
  }
  const reach = 3 * Math.max(...[...trail, 1e-300].filter(Number.isFinite));
  const finite = [...trail, ...ahead.map((v) => Math.min(v, reach))].filter(Number.isFinite), most = Math.max(...finite, 1e-300) * 1.08, least = Math.min(0, ...finite);
  const count = trail.length - 1 + ahead.length - 1;
  const x = (k) => left + (k / Math.max(1, count)) * (width - left - 20);
  const y = (v) => base - ((clamp(v, least, most) - least) / (most - least)) * (base - top);
  const points = trail.map((v, k) => [x(k), y(v)]).filter((_, k) => Number.isFinite(trail[k]));
  const path = points.map(([px, py], k) => `${k ? "L" : "M"}${px.toFixed(1)},${py.toFixed(1)}`).join("");
  const grid = [0, 0.5, 1].map((part) => {
    const v = least + (most / 1.08 - least) * part;
    return [svg("line", { x1: left, x2: width - 12, y1: y(v), y2: y(v), class: part ? "grid" : "axis" }), svg("text", { x: left - 8, y: y(v) + 4, class: "tick", "text-anchor": "end" }, short(v, 3))];
  });
  const last = points.at(-1);
  byId("curve").replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": say("curve-label", { n: String(trail.length - 1), loss: short(model.L) }) },
    grid, svg("path", { d: ahead.map((v, k) => `${k ? "L" : "M"}${x(trail.length - 1 + k).toFixed(1)},${y(v).toFixed(1)}`).join(""), class: "curve ahead" }), svg("path", { d: path, class: "curve" }), points.length < 60 ? points.map(([px, py]) => svg("circle", { cx: px, cy: py, r: 3, class: "point" })) : null,
    last ? svg("circle", { cx: last[0], cy: last[1], r: 6, class: "point last" }) : null,
    svg("text", { x: (left + width) / 2, y: height - 8, class: "lane", "text-anchor": "middle" }, say("steps-done", { n: String(trail.length - 1) }))));
  byId("descent-line").textContent = say("descent-line", { before: short(model.L, 6), after: short(next().L, 6), eta: show(state.eta) });
};
