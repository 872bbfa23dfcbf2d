// Elements. Text is only ever set as text: a class's name cannot become markup.
const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const SVG = "http://www.w3.org/2000/svg";
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const fill = (element, attributes, children) => {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(3)) if (child !== null && child !== undefined && child !== false) element.append(child);
  return element;
};

const byId = (id) => document.getElementById(id);
const language = () => DATA.languages[state.lang];
const say = (key, fields = {}) => filled(language().page[key] ?? language().words[key] ?? key, fields);
const filled = (text, fields) => text.replace(/\{([^{}]+)\}/g, (whole, key) => (key in fields ? fields[key] : whole));
const nameOf = (i) => state.names[i];

let announced = 0;
const announce = (text) => {
  clearTimeout(announced);
  announced = setTimeout(() => { byId("live").textContent = text; }, 250);
};

let toastTimer = 0;
const toast = (text) => {
  const place = byId("toast");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => place.classList.remove("shown"), 1800);
};
