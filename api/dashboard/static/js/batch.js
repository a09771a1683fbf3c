// One batch: titles down, languages across, a mark for what became of each.

import { get, post } from "./api.js";
import { $, ask, h, icon, keyed, setText, toast } from "./dom.js";
import { cost, count, duration, moment, percent, shortId } from "./format.js";
import { Live } from "./live.js";
import { mistakes } from "./mistakes.js";
import { maySubmit, startShell, subject } from "./shell.js";
import { badge, bar, describe, showBatch } from "./states.js";

const address = `/v2/batch/${encodeURIComponent(subject)}`;
const state = badge("queued", { strong: true });
const progress = bar("Progress");
$("#state").append(state);
$("#progress").append(h("div", { class: "stage-line" }, h("span")), progress);

let next = null;
let columns = "";

const cursor = () => new URLSearchParams(location.search).get("cursor");

async function refresh() {
  const query = new URLSearchParams({ limit: 50, ...(cursor() ? { cursor: cursor() } : {}) });
  const [batch, matrix] = await Promise.all([get(address), get(`${address}/matrix?${query}`)]);
  showHead(batch.data);
  showMatrix(matrix.data);
}

function showHead(batch) {
  const { metrics: sums } = batch;
  setText($("#name"), batch.name ?? shortId(batch.id));
  document.title = `${percent(batch.progress)} ${batch.name ?? shortId(batch.id)} · lipfarm`;
  showBatch(state, progress, batch);
  setText(progress.previousElementSibling.firstElementChild, percent(batch.progress));
  $("#trouble").hidden = !batch.error;
  setText($("#trouble"), batch.error ? `${batch.error} (${batch.error_code})` : "");
  const facts = { Rows: count(sums.total_generations), Completed: count(sums.success_count), Failed: count(sums.failed_count), Pending: count(sums.pending_count), Refused: count(batch.refusedRows), Ordered: moment(batch.created_at), Finished: moment(batch.finishedAt), "GPU time": duration(batch.gpuSeconds) };
  if (batch.gpuCost !== null) facts["Cost of the GPU"] = cost(batch.gpuCost);
  keyed($("#facts"), Object.entries(facts), ([name]) => name, ([name]) => h("div", {}, h("dt", {}, name), h("dd")), (node, [, value]) => setText(node.lastElementChild, value));
  showActions(batch);
  $("#mistakes-card").hidden = !batch.errors.length;
  if ($("#mistakes").dataset.count !== String(batch.errors.length)) $("#mistakes").replaceChildren(...mistakes(batch.errors));
  $("#mistakes").dataset.count = String(batch.errors.length);
}

function showActions(batch) {
  const place = $("#actions");
  if (place.dataset.now === batch.status) return;
  place.dataset.now = batch.status;
  const links = ["csv", "jsonl"].map((format) => h("a", { class: "button", href: `${address}/result?format=${format}`, download: `${batch.id}.${format}` }, `Result (${format.toUpperCase()})`));
  const jobs = h("a", { class: "button", href: `/dashboard?${new URLSearchParams({ batchId: batch.id })}` }, "Its jobs");
  const cancel = h("button", { type: "button", class: "danger", on: { click: () => stop(batch) } }, "Cancel batch");
  place.replaceChildren(jobs, ...links, ...(maySubmit && !batch.finishedAt ? [cancel] : []));
}

async function stop(batch) {
  if (!(await ask("Cancel the whole batch?", `${count(batch.metrics.pending_count)} jobs that are not finished stop for good.`, "Cancel the batch"))) return;
  try {
    await post(`${address}/cancel`);
    toast("The batch is canceled");
  } catch (error) {
    toast(error.message, "fail");
  }
  live.now();
}

function showMatrix(page) {
  next = page.nextCursor;
  $("#more").hidden = next === null;
  $("#first").hidden = !cursor();
  const wanted = page.languages.join("\n");
  if (columns !== wanted) {
    columns = wanted;
    $("#rows").replaceChildren();
    $("#heads").replaceChildren(h("th", { scope: "col" }, "Title"), ...page.languages.map((language) => h("th", { scope: "col" }, language || "none")));
  }
  keyed($("#rows"), page.titles, (title) => title.title, (title) => h("tr", {}, h("th", { scope: "row", title: title.title }, title.title), page.languages.map(() => h("td"))), (row, title) => page.languages.forEach((language, at) => showCell(row.children[at + 1], title, language)));
  const states = Object.entries(page.states);
  if (page.refusedRows) states.push(["refused", page.refusedRows]);
  keyed($("#legend"), states, ([name]) => name, ([name]) => h("span", {}, badge(name), h("span", { class: "muted" })), (node, [, number]) => setText(node.lastElementChild, ` ${count(number)}`));
}

function showCell(cell, title, language) {
  const jobs = title.cells[language] ?? [];
  const now = JSON.stringify(jobs);
  if (cell.dataset.now === now) return;
  cell.dataset.now = now;
  cell.replaceChildren(...jobs.map((job) => mark(job, title.title, language)));
}

function mark(job, title, language) {
  const is = job.attention ? "attention" : job.state;
  const { word, mark: name, tone } = describe(is);
  const said = `${title}, ${language || "no language"}: ${word}${job.error_code ? ` (${job.error_code})` : ""}`;
  const parts = [icon(name), h("span", { class: "visually-hidden" }, said)];
  if (!job.id) return h("span", { class: "cell", data: { tone }, title: said }, parts);
  return h("a", { class: "cell", data: { tone }, href: `/dashboard/jobs/${job.id}`, title: said }, parts);
}

function go(query) {
  history.pushState(null, "", query || location.pathname);
  live.now();
}

$("#more").addEventListener("click", () => go(`?${new URLSearchParams({ cursor: next })}`));
$("#first").addEventListener("click", () => go(""));
window.addEventListener("popstate", () => live.now());

startShell();
const live = new Live({ refresh, stream: "/v2/events?kind=generation&kind=batch", heard: (kind) => kind === "generation.progress" }).start();
