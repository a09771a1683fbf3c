// The list of jobs: found by filters that stand in the address, those that need a person first.

import { get } from "./api.js";
import { startBulk } from "./bulk.js";
import { $, h, keyed, say, setText } from "./dom.js";
import { count } from "./format.js";
import { makeRow, showRow } from "./job_row.js";
import { Live } from "./live.js";
import { startShell } from "./shell.js";
import { stateOf } from "./states.js";
import { startViews } from "./views.js";

const SHOWS = [
  { name: "", word: "All", query: {}, states: null },
  { name: "attention", word: "Need attention", query: { attention: "true" }, states: "attention" },
  { name: "waiting", word: "Queued", query: { state: "queued" }, states: ["queued"] },
  { name: "working", word: "Working", query: { status: "PROCESSING" }, states: ["preparing", "detecting", "tracking", "rendering", "stitching"] },
  { name: "completed", word: "Completed", query: { status: "COMPLETED" }, states: ["completed"] },
  { name: "failed", word: "Failed", query: { status: "FAILED,REJECTED" }, states: ["failed", "rejected"] },
  { name: "canceled", word: "Canceled", query: { state: "canceled" }, states: ["canceled"] },
];
const WORDS = ["q", "label", "language", "batchId"];
const PAGE = 50;
const COUNTS_SECONDS = 15;

const form = $("#filters");
let asked = new URLSearchParams(location.search);
let countedAt = 0;
let next = null;
let jobs = [];
let told = new Map();

function address() {
  const show = SHOWS.find((each) => each.name === (asked.get("show") ?? "")) ?? SHOWS[0];
  const query = new URLSearchParams({ limit: PAGE, order: "attention", ...show.query });
  for (const word of WORDS) if (asked.get(word)) query.set(word, asked.get(word));
  if (asked.get("cursor")) query.set("cursor", asked.get("cursor"));
  return `/v2/generations?${query}`;
}

async function refresh() {
  const wanted = address();
  const [list] = await Promise.all([get(wanted), countAll()]);
  if (wanted !== address()) return; // another filter meanwhile
  next = list.cursor;
  if (list.changed || list.data !== jobs) show(list.data);
}

function show(list) {
  tell(list);
  jobs = list;
  keyed($("#rows"), list, (job) => job.id, (job) => makeRow(job, bulk), showRow);
  bulk.keep(list.map((job) => job.id));
  const empty = $("#empty");
  empty.hidden = list.length > 0;
  const isFiltered = WORDS.some((word) => asked.get(word)) || asked.get("show");
  setText(empty, isFiltered ? "No job is like that." : "No jobs yet.");
  setText($("#shown"), list.length ? `${list.length} shown` : "");
  $("#older").hidden = next === null;
  $("#first").hidden = !asked.get("cursor");
  offer("#labels", list.flatMap((job) => job.labels));
  offer("#languages", list.map((job) => job.language).filter(Boolean));
}

/** Ends and troubles are said aloud, moves between stages are not. */
function tell(list) {
  const states = new Map(list.map((job) => [job.id, stateOf(job)]));
  const loud = list.filter((job) => {
    const before = told.get(job.id);
    return before && before !== states.get(job.id) && (job.finishedAt || job.attention);
  });
  if (loud.length) say(loud.map((job) => `${job.name ?? job.id}: ${states.get(job.id)}`).join("; "));
  told = states;
}

function offer(list, words) {
  const options = [...new Set(words)].sort().slice(0, 50);
  keyed($(list), options, (word) => word, (word) => h("option", { value: word }), () => {});
}

async function countAll() {
  if (Date.now() - countedAt < 1000 * COUNTS_SECONDS) return;
  countedAt = Date.now();
  const [{ data }] = await Promise.all([get("/v2/farm"), views.refresh()]);
  const total = Object.values(data.jobs).reduce((sum, some) => sum + some, 0);
  for (const chip of $("#shows").children) {
    const { states } = SHOWS.find((each) => each.name === chip.dataset.show);
    const some = states === null ? total : states === "attention" ? data.attention : states.reduce((sum, state) => sum + (data.jobs[state] ?? 0), 0);
    setText(chip.lastElementChild, count(some));
  }
}

function makeChips() {
  for (const each of SHOWS) {
    const choose = () => ask({ show: each.name, cursor: "" });
    $("#shows").append(h("button", { type: "button", class: "chip", data: { show: each.name }, on: { click: choose } }, each.word, h("span", { class: "count" })));
  }
}

/** Another view: into the address, and asked for. */
function ask(changes, { replace = false } = {}) {
  for (const [name, value] of Object.entries(changes)) {
    if (value) asked.set(name, value);
    else asked.delete(name);
  }
  const query = asked.toString();
  history[replace ? "replaceState" : "pushState"](null, "", query ? `?${query}` : location.pathname);
  showFilters();
  live.now();
}

function showFilters() {
  for (const chip of $("#shows").children) {
    chip.setAttribute("aria-pressed", String(chip.dataset.show === (asked.get("show") ?? "")));
  }
  for (const word of WORDS) {
    const field = form.elements[word];
    if (field !== document.activeElement) field.value = asked.get(word) ?? "";
  }
  $("#clear").hidden = !WORDS.some((word) => asked.get(word));
  views.show();
}

let typing = null;
form.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    const words = Object.fromEntries(WORDS.map((word) => [word, form.elements[word].value.trim()]));
    ask({ ...words, cursor: "" }, { replace: true });
  }, 250);
});
form.addEventListener("submit", (event) => event.preventDefault());
$("#clear").addEventListener("click", () => {
  form.reset();
  ask(Object.fromEntries([...WORDS, "cursor"].map((word) => [word, ""])));
});
$("#older").addEventListener("click", () => ask({ cursor: next }));
$("#first").addEventListener("click", () => ask({ cursor: "" }));
window.addEventListener("popstate", () => {
  asked = new URLSearchParams(location.search);
  showFilters();
  live.now();
});

/** Moves and progress go straight into their row; after a move all of the list is asked for. */
function heard(kind, event) {
  const job = jobs.find((each) => each.id === event.generationId);
  const row = job && $(`#rows > [data-key="${job.id}"]`);
  const { progress, state } = event.data;
  if (row) showRow(row, Object.assign(job, progress === undefined ? {} : { progress }, state ? { state } : {}));
  return kind === "generation.progress";
}

startShell();
makeChips();
const views = startViews({
  current: () => Object.fromEntries(["show", ...WORDS].map((name) => [name, asked.get(name)]).filter(([, value]) => value)),
  open: (filter) => ask(Object.fromEntries(["show", ...WORDS, "cursor"].map((name) => [name, filter[name] ?? ""]))),
});
showFilters();
const live = new Live({ refresh, stream: "/v2/events?kind=generation", heard });
const bulk = startBulk(() => live.now());
live.start();
