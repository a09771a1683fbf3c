// The fleet: who lives, what each has in hand, how fast it goes, and what it leaves to others.

import { get } from "./api.js";
import { $, h, keyed, setText } from "./dom.js";
import { age, bytes, count, frameRate, setAge, shortId, since } from "./format.js";
import { Live } from "./live.js";
import { startShell } from "./shell.js";
import { badge, bar, setBadge, setBar } from "./states.js";

const SILENT_SECONDS = 15; // it beats every second or so
const LITTLE_BYTES = 5e9;

async function refresh() {
  const { data } = await get(`/v2/workers${$("#gone").checked ? "?offline=true" : ""}`);
  keyed($("#rows"), data, (worker) => worker.id, make, show);
  $("#empty").hidden = data.length > 0;
  const sums = new Map();
  for (const worker of data) sums.set(stateOf(worker), (sums.get(stateOf(worker)) ?? 0) + 1);
  keyed($("#sums"), [...sums], ([state]) => state, ([state]) => h("span", {}, badge(state), h("span", { class: "muted" })), (node, [, number]) => setText(node.lastElementChild, ` ${count(number)}`));
}

const stateOf = (worker) => (worker.state === "online" && since(worker.heartbeatAt) > SILENT_SECONDS ? "silent" : worker.state);

const make = (worker) =>
  h(
    "tr",
    {},
    h("td", { class: "wrap", data: { head: "Worker" } }, h("div", {}, h("strong", {}, worker.name), h("div", { class: "muted" }))),
    h("td", { data: { head: "State" } }, badge("online")),
    h("td", { data: { head: "Queues" } }),
    h("td", { data: { head: "Device" } }),
    h("td", { data: { head: "In hand" } }, h("div", { class: "worker-steps" })),
    h("td", { class: "number nowrap", data: { head: "Speed" } }),
    h("td", { class: "number nowrap", data: { head: "Heartbeat" } }, age(worker.heartbeatAt)),
    h("td", { class: "number nowrap", data: { head: "Free disk" } }),
    h("td", { class: "wrap", data: { head: "Leaves to others" } }, h("div")),
  );

function show(row, worker) {
  const [name, state, queues, device, hand, speed, beat, disk, benched] = row.children;
  setText(name.querySelector(".muted"), worker.hostname ? `${worker.hostname} · pid ${worker.pid}` : `${worker.slots} ${worker.slots === 1 ? "slot" : "slots"}`);
  setBadge(state.firstElementChild, stateOf(worker));
  setText(queues, worker.queues.join(", "));
  setText(device, worker.device);
  keyed(hand.firstElementChild, worker.steps, (step) => `${step.stepId ?? step.startedAt} ${step.attempt}`, makeStep, showStep);
  if (!worker.steps.length) setText(hand.firstElementChild, "–");
  const speeds = worker.steps.map((step) => step.framesPerSecond).filter((each) => each !== null);
  setText(speed, speeds.length ? frameRate(speeds.reduce((sum, each) => sum + each, 0)) : "–");
  setAge(beat.firstElementChild, worker.heartbeatAt);
  setText(disk, bytes(worker.freeBytes) + (worker.freeBytes !== null && worker.freeBytes < LITTLE_BYTES ? " ▲ little" : ""));
  const left = worker.benched.map((each) => `${each.stage} of ${each.generationName ?? shortId(each.generationId)}`);
  setText(benched.firstElementChild, [worker.failedJobs ? `${worker.failedJobs} jobs failed here in a row` : "", ...left].filter(Boolean).join("; ") || "–");
}

const makeStep = (step) => h("div", {}, h("div", { class: "stage-line" }, nameOf(step), h("span", { class: "muted" })), bar(`Progress of ${step.stage}`));

function nameOf(step) {
  const where = step.segmentIndex === null || !["detect", "render"].includes(step.stage) ? step.stage : `${step.stage} ${step.segmentIndex + 1}`;
  if (!step.generationId) return h("span", {}, `${where}, another project`);
  return h("a", { href: `/dashboard/jobs/${step.generationId}`, data: { rowLink: "" } }, `${where}, ${step.generationName ?? shortId(step.generationId)}`);
}

function showStep(node, step) {
  const fraction = step.frames ? step.framesDone / step.frames : 0;
  setText(node.querySelector(".muted"), step.frames ? `${count(step.framesDone)} / ${count(step.frames)}` : "");
  setBar(node.lastElementChild, fraction);
}

$("#gone").addEventListener("change", () => live.now());
startShell();
const live = new Live({ refresh, every: 5 }).start();
