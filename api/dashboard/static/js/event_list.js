// What happened to a job, newest first: pages of the past, and what comes by the stream.

import { get } from "./api.js";
import { h } from "./dom.js";
import { clock, moment } from "./format.js";

const MOST_SHOWN = 400;
const PAGE = 1000;
const MOST_PAGES = 20;

export function startEvents(place, address, open) {
  const told = new Set();
  const list = h("tbody");
  place.append(h("table", {}, h("thead", { class: "visually-hidden" }, h("tr", {}, ["Time", "Event", "What"].map((head) => h("th", { scope: "col" }, head)))), list));

  function add(event) {
    if (!event.id || told.has(event.id)) return;
    told.add(event.id);
    list.prepend(row(event, open));
    if (list.children.length > MOST_SHOWN) list.lastElementChild.remove();
  }

  async function load() {
    let after = null;
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const query = new URLSearchParams({ format: "json", limit: PAGE, ...(after ? { after } : {}) });
      const { data } = await get(`${address}?${query}`);
      data.items.forEach(add);
      after = data.nextCursor;
      if (!after) return;
    }
  }

  load().catch(() => {}); // the page itself says when the farm does not answer
  return { add };
}

function row(event, open) {
  const { segmentIndex, stage, attempt, error, failure, state, ...rest } = event.data;
  const words = [stage, segmentIndex === undefined || !["detect", "render"].includes(stage) ? null : `segment ${segmentIndex + 1}`, attempt === undefined ? null : `attempt ${attempt}`, rest.keptOriginal ? "kept original" : null, rest.reused ? "reused" : null, failure, error].filter(Boolean).join(" · ");
  const what = event.stepId && open ? h("button", { type: "button", class: "quiet", on: { click: () => open(event.stepId) } }, words || "step") : words || state || "";
  return h("tr", {}, h("td", { class: "nowrap mono" }, h("time", { datetime: event.at, title: moment(event.at) }, clock(event.at))), h("td", { class: "nowrap" }, event.kind), h("td", { class: "wrap" }, what));
}
