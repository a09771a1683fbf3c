// Lines over time, drawn as SVG; what is under the pointer or the arrow keys is read out.

import { h, setText } from "./dom.js";
import { clock } from "./format.js";

const HEIGHT = 160;
const LEFT = 40;
const BOTTOM = 6;

/** A chart of series [{name, values}] over times; text writes a value. */
export function startChart(title, text) {
  const svg = h("svg", { class: "plot", height: HEIGHT + BOTTOM, "aria-hidden": "true" });
  const axis = h("div", { class: "stage-line muted" });
  const read = h("p", { class: "read muted", role: "status" });
  const legend = h("div", { class: "legend" });
  const focus = h("div", { tabindex: 0, role: "slider", "aria-label": `${title}: moments`, "aria-valuemin": 1, "aria-valuenow": 1, "aria-valuemax": 1 }, svg);
  const node = h("section", { class: "card chart" }, h("h2", {}, title), legend, focus, axis, read);
  let now = { times: [], series: [] };
  let width = 600; // in pixels, as there is room: text is not to be stretched
  let at = -1;

  function show(times, series) {
    now = { times, series };
    width = focus.clientWidth || width;
    svg.setAttribute("width", width);
    const top = niceTop(Math.max(0, ...series.flatMap((each) => each.values)));
    const x = (index) => LEFT + ((width - LEFT) * index) / Math.max(1, times.length - 1);
    const y = (value) => HEIGHT - (HEIGHT - 12) * (value / top);
    svg.replaceChildren(...grid(top, y, width, text), ...series.flatMap((each, at) => drawn(each.values, at, x, y)));
    axis.replaceChildren(h("span", {}, times.length ? clock(times[0]) : ""), h("span", {}, times.length ? clock(times.at(-1)) : "nothing yet"));
    legend.replaceChildren(...series.map((each, index) => h("span", { class: `series-${index} state` }, h("svg", { class: "swatch", viewBox: "0 0 26 8", "aria-hidden": "true" }, h("line", { class: "line", x1: 0, x2: 26, y1: 4, y2: 4, stroke: "currentColor" })), `${each.name} `, h("strong", {}, each.values.length ? text(each.values.at(-1)) : "–"))));
    focus.setAttribute("aria-valuemax", String(Math.max(1, times.length)));
    tell(Math.min(at, times.length - 1));
  }

  function tell(index) {
    at = index;
    const words = index < 0 || !now.times.length ? "" : `${clock(now.times[index])}: ${now.series.map((each) => `${each.name} ${text(each.values[index])}`).join(", ")}`;
    setText(read, words);
    focus.setAttribute("aria-valuenow", String(Math.max(1, index + 1)));
    focus.setAttribute("aria-valuetext", words || "none chosen");
  }

  focus.addEventListener("pointermove", (event) => {
    const along = (event.clientX - svg.getBoundingClientRect().left - LEFT) / (width - LEFT);
    tell(Math.min(now.times.length - 1, Math.max(0, Math.round(along * (now.times.length - 1)))));
  });
  focus.addEventListener("pointerleave", () => tell(-1));
  focus.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, PageDown: -10, PageUp: 10, Home: -1e9, End: 1e9 }[event.key];
    if (!by) return;
    event.preventDefault();
    tell(Math.min(now.times.length - 1, Math.max(0, (at < 0 ? now.times.length - 1 : at) + by)));
  });
  new ResizeObserver(() => focus.clientWidth !== width && show(now.times, now.series)).observe(focus);
  return { node, show };
}

function grid(top, y, width, text) {
  return [0, 0.5, 1].flatMap((part) => [
    h("line", { class: "axis", x1: LEFT, x2: width, y1: y(part * top), y2: y(part * top) }),
    h("text", { x: LEFT - 6, y: y(part * top) + 4, "text-anchor": "end" }, text(part * top)),
  ]);
}

function drawn(values, at, x, y) {
  if (!values.length) return [];
  const points = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(" L");
  const end = x(values.length - 1).toFixed(1);
  const parts = [h("path", { class: "line", d: `M${points}` })];
  if (at === 0) parts.unshift(h("path", { class: "area", d: `M${x(0)},${HEIGHT} L${points} L${end},${HEIGHT} Z` }));
  return [h("g", { class: `series-${at}` }, parts)];
}

/** A round number not below the highest. */
function niceTop(most) {
  if (most <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 5, 10].map((times) => times * unit).find((top) => top >= most);
}
