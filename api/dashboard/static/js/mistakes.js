// Rows of a manifest that cannot be used, each with its number and the reason.

import { h } from "./dom.js";

export function mistakes(rows) {
  if (!rows.length) return [];
  const heads = ["Row", "Title", "Language", "Why"];
  return [
    h(
      "table",
      { class: "stack" },
      h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, [row.row, row.title ?? row.request_id ?? "–", row.language ?? "–", `${row.error} (${row.error_code})`].map((value, at) => h("td", { class: "wrap", data: { head: heads[at] } }, String(value)))))),
    ),
  ];
}
