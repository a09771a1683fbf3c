// The end of a log: searched in, and taken away.

import { h, setText } from "./dom.js";

export function startLog(text, name, size) {
  const lines = h("pre", { tabindex: 0, role: "region", "aria-label": "End of the log" }, text);
  const found = h("span", { class: "muted", role: "status" });
  const search = h("input", { type: "search", placeholder: "Find in the log", "aria-label": "Find in the log", on: { input: () => mark(lines, text, search.value, found) } });
  const file = new Blob([text], { type: "text/plain" });
  const link = h("a", { class: "button", download: name, href: "#", on: { click: () => (link.href = URL.createObjectURL(file)) } }, `Download (${size})`);
  return h("div", {}, h("div", { class: "log-tools" }, search, found, link), lines);
}

function mark(node, text, wanted, found) {
  if (!wanted) {
    node.replaceChildren(text);
    return setText(found, "");
  }
  const parts = [];
  const low = text.toLowerCase();
  const needle = wanted.toLowerCase();
  let at = 0;
  let hits = 0;
  for (let next = low.indexOf(needle); next >= 0; next = low.indexOf(needle, at)) {
    parts.push(text.slice(at, next), h("mark", {}, text.slice(next, next + needle.length)));
    at = next + needle.length;
    hits += 1;
  }
  node.replaceChildren(...parts, text.slice(at));
  setText(found, `${hits} found`);
  node.querySelector("mark")?.scrollIntoView({ block: "nearest" });
}
