// All batches, and a manifest to check and send.

import { get, post } from "./api.js";
import { $, h, keyed, setText, toast } from "./dom.js";
import { age, count, percent, setAge, shortId } from "./format.js";
import { Live } from "./live.js";
import { mistakes } from "./mistakes.js";
import { startShell } from "./shell.js";
import { badge, bar, showBatch } from "./states.js";

let next = null;

const cursor = () => new URLSearchParams(location.search).get("cursor");

async function refresh() {
  const query = new URLSearchParams({ limit: 50, ...(cursor() ? { cursor: cursor() } : {}) });
  const list = await get(`/v2/batch?${query}`);
  next = list.cursor;
  keyed($("#rows"), list.data, (batch) => batch.id, make, show);
  $("#empty").hidden = list.data.length > 0;
  $("#older").hidden = next === null;
  $("#first").hidden = !cursor();
}

const make = (batch) =>
  h(
    "tr",
    {},
    h("td", { class: "wrap", data: { head: "Name" } }, h("a", { href: `/dashboard/batches/${batch.id}`, data: { rowLink: "" } })),
    h("td", { data: { head: "Status" } }, badge("queued")),
    h("td", { data: { head: "Progress" } }, h("div", {}, h("span", { class: "muted" }), bar(`Progress of ${nameOf(batch)}`))),
    ...["Rows", "Completed", "Failed", "Pending"].map((head) => h("td", { class: "number", data: { head } })),
    h("td", { class: "wrap", data: { head: "Languages" } }),
    h("td", { class: "number", data: { head: "Age" } }, age(batch.created_at)),
  );

const nameOf = (batch) => batch.name ?? shortId(batch.id);

function show(row, batch) {
  const [name, state, progress, rows, completed, failed, pending, languages, ordered] = row.children;
  const sums = batch.metrics;
  setText(name.firstElementChild, nameOf(batch));
  setText(progress.querySelector(".muted"), percent(batch.progress));
  showBatch(state.firstElementChild, progress.querySelector(".bar"), batch);
  setText(rows, count(sums.total_generations));
  setText(completed, count(sums.success_count));
  setText(failed, count(sums.failed_count));
  setText(pending, count(sums.pending_count));
  setText(languages, batch.languages.join(", ") || "–");
  setAge(ordered.firstElementChild, batch.created_at);
}

function go(query) {
  history.pushState(null, "", query || location.pathname);
  live.now();
}

$("#older").addEventListener("click", () => go(`?${new URLSearchParams({ cursor: next })}`));
$("#first").addEventListener("click", () => go(""));
window.addEventListener("popstate", () => live.now());

$("#order")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const isCheck = event.submitter?.value === "dry";
  const body = new FormData();
  if (isCheck) body.set("dry_run", "true");
  body.set("input", $("#manifest").files[0]);
  $("#refusal").hidden = true;
  $("#mistakes").replaceChildren();
  setText($("#sent"), isCheck ? "Checking" : "Sending");
  try {
    const answer = await post("/v2/batch", body);
    const refused = answer.refusedRows ? `, ${count(answer.refusedRows)} of them refused` : ", none refused";
    setText($("#sent"), isCheck ? `${count(answer.rows)} rows${refused}` : "");
    $("#mistakes").replaceChildren(...mistakes(answer.errors ?? []));
    if (!isCheck) {
      toast(`Batch ${nameOf(answer)} was sent`);
      live.now();
    }
  } catch (error) {
    setText($("#sent"), "");
    setText($("#refusal"), `${error.message} ${error.suggestion ?? ""}`);
    $("#refusal").hidden = false;
  }
});

startShell();
const live = new Live({ refresh, stream: "/v2/events?kind=generation&kind=batch", heard: (kind) => kind === "generation.progress" }).start();
