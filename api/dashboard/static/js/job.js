// One job: its segments as they are, its stages, what came of it, and what can be done.

import { find, get } from "./api.js";
import { showActions } from "./job_actions.js";
import { showDownloads } from "./downloads.js";
import { startEvents } from "./event_list.js";
import { $, h, say, setAttribute, setText } from "./dom.js";
import { age, cost, duration, frameRate, moment, percent, setAge } from "./format.js";
import { nameOf, networkOf } from "./job_row.js";
import { showLanes } from "./lanes.js";
import { Live } from "./live.js";
import { startPlayer } from "./player.js";
import { showShots } from "./shots.js";
import { startShell, subject } from "./shell.js";
import { badge, bar, describe, setBadge, setBar, stateOf } from "./states.js";
import { startStepPanel } from "./step_panel.js";
import { startStrip } from "./strip.js";
import { startRange } from "./strip_range.js";

const address = `/v2/generate/${encodeURIComponent(subject)}`;

const state = badge("queued", { strong: true });
const progress = bar("Progress", { stages: true });
const left = h("span", { class: "muted" });
$("#state").append(state);
$("#progress").append(h("div", { class: "stage-line" }, h("span"), left), progress);

let job = null;
let report = null;

async function refresh() {
  const [generation, steps] = await Promise.all([get(address), get(`${address}/strip`)]);
  const before = job;
  job = generation.data;
  showHead();
  tell(before);
  range.look(steps.data, job);
  strip.show(steps.data);
  showLanes($("#lanes"), job, steps.data);
  if (job.report && !report) report = await find(`${address}/report`);
  showShots(job, report);
  showDownloads($("#downloads"), job, report);
  await player.look(job, report, steps.data);
  await panel.refresh();
}

function showHead() {
  const is = stateOf(job);
  document.title = `${percent(job.progress)} ${nameOf(job)} · lipfarm`;
  setText($("#name"), nameOf(job));
  setBadge(state, is);
  setBar(progress, job.progress, describe(is).tone);
  setText(progress.previousElementSibling.firstElementChild, job.stage ? `${job.stage}, ${percent(job.progress)}` : percent(job.progress));
  setText(left, job.eta !== null ? `about ${duration(job.eta)} left` : "");
  showTrouble(is);
  showNotes($("#left-out"), job.report?.leftOut);
  showNotes($("#notes"), job.report?.notes);
  showFacts();
  setText($("#request"), JSON.stringify({ model: job.model, input: job.input, options: job.options, outputFileName: job.outputFileName, webhookUrl: job.webhookUrl, labels: job.labels, language: job.language, priority: job.priority }, null, 2));
  const actions = $("#actions");
  if (actions) showActions(actions, address, job, () => live.now());
}

function showTrouble(is) {
  const node = $("#trouble");
  const warnings = job.warnings ?? [];
  const words = [];
  if (is === "attention") words.push("Some steps failed for good. Open one below, or choose a range of them, then retry it or keep the original picture there.");
  if (job.error && job.state !== "canceled") words.push(`${job.error} (${job.error_code})`);
  words.push(...warnings);
  node.hidden = words.length === 0;
  setAttribute(node, "class", job.error || is === "attention" ? "trouble" : "trouble warn");
  if (node.textContent !== words.join("")) node.replaceChildren(...words.map((word) => h("p", {}, word)));
}

/** A list under its heading; neither is there without notes. */
function showNotes(place, notes = []) {
  const list = $("ul", place);
  place.hidden = notes.length === 0;
  if (list.children.length !== notes.length) list.replaceChildren(...notes.map((note) => h("li", {}, note)));
}

const facts = new Map();

function showFacts() {
  fact("Language", job.language ?? "–");
  fact("Network", networkOf(job));
  showRenderer(job.renderedWith);
  fact("Priority", job.priority);
  fact("Labels", job.labels.join(", ") || "–");
  fact("Ordered", age(job.createdAt), (node) => setAge(node, job.createdAt));
  fact("Started", job.startedAt ? moment(job.startedAt) : "–");
  fact("Finished", job.finishedAt ? moment(job.finishedAt) : "–");
  fact("Worker time", duration(Object.values(job.stages).reduce((sum, stage) => sum + stage.workerSeconds, 0)));
  fact("GPU time", duration(job.gpuSeconds));
  const lost = Object.values(job.stages).reduce((sum, stage) => sum + (stage.lostSeconds ?? 0), 0);
  if (lost >= 1) fact("Lost in failed attempts", duration(lost));
  if (job.gpuCost !== null) fact("Cost of the GPU", cost(job.gpuCost));
  if (report?.timings?.render?.frames_per_second) fact("Render", frameRate(report.timings.render.frames_per_second));
}

/** Which weights, how and where; a digest tells apart what has the same name. */
function showRenderer(used) {
  if (!used) return;
  const digest = used.checkpointSha256?.slice(0, 12);
  if (digest) fact("Checkpoint", [used.checkpoint, digest].filter(Boolean).join(" · "));
  if (used.precision) fact("Precision", used.precision);
  if (used.devices.length) fact("Device", used.devices.join(", "));
}

function fact(name, value, change = null) {
  if (!facts.has(name)) {
    const node = h("dd", {}, value);
    facts.set(name, node);
    $("#facts").append(h("div", {}, h("dt", {}, name), node));
  }
  if (change) change(facts.get(name).firstElementChild);
  else setText(facts.get(name), value);
}

function tell(before) {
  if (before && stateOf(before) !== stateOf(job)) say(`${nameOf(job)}: ${describe(stateOf(job)).word}`);
}

function heard(kind, event) {
  events.add(event);
  if (job && event.data.state && kind?.startsWith("generation.")) {
    // At once; all else of it comes with the answer that is asked for because of this.
    job.state = event.data.state;
    setBadge(state, stateOf(job));
  }
  if (kind !== "generation.progress") return false;
  if (job) {
    job.progress = event.data.progress;
    setBar(progress, job.progress, describe(stateOf(job)).tone);
  }
  return true;
}

startShell();
const live = new Live({ refresh, stream: `${address}/events`, heard });
const panel = startStepPanel(address, () => live.now());
const range = startRange(address, () => live.now());
const strip = startStrip($("#strip"), (id) => panel.open(id), range);
const events = startEvents($("#events"), `${address}/events`, (id) => panel.open(id));
const player = startPlayer($("#player"), address);
live.start();
