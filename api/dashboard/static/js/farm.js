// The farm over time: what was done a second, what waits, and which jobs do not get on.

import { get } from "./api.js";
import { startChart } from "./charts.js";
import { $, h, keyed, setText } from "./dom.js";
import { age, clock, count, duration, roughly, setAge, shortId } from "./format.js";
import { Live } from "./live.js";
import { startShell } from "./shell.js";
import { badge } from "./states.js";

const SPANS = { "15 m": 15, "1 h": 60, "6 h": 360, "24 h": 1440, "7 d": 10080 };
const QUEUES = ["cpu", "gpu", "stitch"];
const BUCKETS = 120;

const one = (value) => (value >= 100 || Number.isInteger(value) ? count(value) : value.toFixed(1));
const charts = {
  framesPerSecond: startChart("Frames a second", one),
  ready: startChart("Steps ready to be claimed", one),
  queuedSeconds: startChart("Work queued", roughly),
  running: startChart("Steps at work", one),
};
$("#charts").append(...Object.values(charts).map((chart) => chart.node));

const minutes = () => Number(new URLSearchParams(location.search).get("minutes")) || 60;

async function refresh() {
  const [farm, samples] = await Promise.all([get("/v2/farm"), get(`/v2/farm/samples?${new URLSearchParams({ minutes: minutes(), buckets: BUCKETS })}`)]);
  showTiles(farm.data, samples.data);
  showCharts(samples.data);
  showQueues(farm.data);
  showStuck(farm.data);
}

function showCharts({ queues }) {
  const times = [...new Set(QUEUES.flatMap((queue) => queues[queue].map((bucket) => bucket.at)))].sort();
  const by = Object.fromEntries(QUEUES.map((queue) => [queue, new Map(queues[queue].map((bucket) => [bucket.at, bucket]))]));
  for (const [what, chart] of Object.entries(charts)) {
    chart.show(times, QUEUES.map((queue) => ({ name: queue, values: times.map((time) => by[queue].get(time)?.[what] ?? 0) })));
  }
}

function showTiles(farm, samples) {
  const live = Object.entries(farm.jobs).filter(([state]) => !["completed", "failed", "rejected", "canceled"].includes(state)).reduce((sum, [, some]) => sum + some, 0);
  const done = QUEUES.flatMap((queue) => samples.queues[queue]).reduce((sum, bucket) => sum + bucket.frames, 0);
  const rate = (stage) => (farm.speeds[stage] ? `${one(farm.speeds[stage].perSecond)} ${farm.speeds[stage].unit}s/s a worker` : "not measured yet");
  const tiles = {
    "Jobs under way": [count(live), `${count(farm.jobs.queued ?? 0)} queued`],
    "Need attention": [count(farm.attention), farm.attention ? "see the jobs" : "nothing to do"],
    Workers: [count(farm.workers.online), `${farm.workers.draining} draining, ${farm.workers.sick} sick`],
    "Frames done": [count(done), `in the last ${duration(minutes() * 60)}`],
    "Detect speed": [rate("detect").split(" ")[0], rate("detect").split(" ").slice(1).join(" ")],
    "Render speed": [rate("render").split(" ")[0], rate("render").split(" ").slice(1).join(" ")],
  };
  keyed($("#tiles"), Object.entries(tiles), ([name]) => name, ([name]) => h("dl", { class: "tile" }, h("dt", {}, name), h("dd", {}, h("span"), h("div", { class: "under" }))), (node, [, [value, under]]) => {
    setText(node.querySelector("dd > span"), value);
    setText(node.querySelector(".under"), under);
  });
}

function showQueues(farm) {
  setText($("#sampled"), farm.sampledAt ? `as of ${clock(farm.sampledAt)}` : "no sample yet: is a reconciler running?");
  keyed($("#queues"), farm.queues, (queue) => queue.queue, (queue) => h("tr", {}, h("th", { scope: "row" }, queue.queue), ...Array.from({ length: 5 }, () => h("td", { class: "number" })), h("td", { class: "number" }, age(queue.oldestReadyAt))), (row, queue) => {
    [queue.ready, queue.waiting, queue.running, queue.workers].forEach((value, at) => setText(row.children[at + 1], count(value)));
    setText(row.children[5], roughly(queue.queuedSeconds));
    setAge(row.children[6].firstElementChild, queue.oldestReadyAt);
  });
}

function showStuck(farm) {
  setText($("#stuck-hint"), `no progress for ${duration(farm.stuckMinutes * 60)}`);
  const place = $("#stuck");
  if (!farm.stuck.length) return place.replaceChildren(h("p", { class: "muted" }, "Everything gets on."));
  place.replaceChildren(h("table", {}, h("tbody", {}, farm.stuck.map((job) => h("tr", {}, h("td", { class: "wrap" }, h("a", { href: `/dashboard/jobs/${job.id}`, data: { rowLink: "" } }, job.name ?? shortId(job.id))), h("td", {}, badge(job.state)), h("td", { class: "number" }, age(job.since)))))));
}

for (const [word, span] of Object.entries(SPANS)) {
  const choose = () => {
    history.pushState(null, "", span === 60 ? location.pathname : `?minutes=${span}`);
    showSpan();
    live.now();
  };
  $("#spans").append(h("button", { type: "button", class: "chip", data: { span: String(span) }, on: { click: choose } }, word));
}

function showSpan() {
  for (const chip of $("#spans").children) chip.setAttribute("aria-pressed", String(Number(chip.dataset.span) === minutes()));
}

window.addEventListener("popstate", () => {
  showSpan();
  live.now();
});
startShell();
showSpan();
const live = new Live({ refresh, every: 10 }).start();
