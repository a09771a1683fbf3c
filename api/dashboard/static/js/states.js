// What states are called, marked and toned; one table for all pages.

import { h, icon, setText } from "./dom.js";
import { count } from "./format.js";

const STATES = {
  queued: ["Queued", "queued", "wait"],
  preparing: ["Preparing", "running", "run"],
  detecting: ["Detecting", "running", "run"],
  tracking: ["Tracking", "running", "run"],
  rendering: ["Rendering", "running", "run"],
  stitching: ["Stitching", "running", "run"],
  completed: ["Completed", "completed", "ok"],
  failed: ["Failed", "failed", "fail"],
  rejected: ["Rejected", "failed", "fail"],
  canceled: ["Canceled", "canceled", "off"],
  // Of a job
  paused: ["Paused", "paused", "warn"],
  attention: ["Needs attention", "attention", "fail"],
  // Of a step
  running: ["Running", "running", "run"],
  waiting: ["Waiting to try again", "waiting", "warn"],
  held: ["Held", "paused", "warn"],
  reused: ["Reused", "completed", "ok"],
  "kept-original": ["Kept original", "kept", "kept"],
  lost: ["Lost", "failed", "warn"],
  released: ["Given back", "waiting", "wait"],
  // Of a batch
  reading: ["Being read", "running", "run"],
  jobs_created: ["Queued", "queued", "wait"],
  pending: ["Pending", "waiting", "wait"],
  processing: ["Processing", "running", "run"],
  completed_with_errors: ["Completed with errors", "attention", "warn"],
  refused: ["Refused", "failed", "fail"],
  deleted: ["Deleted", "canceled", "off"],
  // Of a worker
  online: ["Online", "completed", "ok"],
  draining: ["Draining", "waiting", "warn"],
  sick: ["Sick", "attention", "fail"],
  offline: ["Offline", "canceled", "off"],
  silent: ["Silent", "attention", "fail"],
  // Of a delivery
  delivered: ["Delivered", "completed", "ok"],
};

export function describe(state) {
  const [word, mark, tone] = STATES[state] ?? [state, "queued", "wait"];
  return { word, mark, tone };
}

/** What a job is to whoever looks at it: needs a person, paused, or its state. */
export function stateOf(generation) {
  const isLive = !generation.finishedAt;
  if (isLive && generation.attention) return "attention";
  if (isLive && generation.desired === "pause") return "paused";
  if (isLive && generation.desired === "cancel") return "canceled";
  return generation.state;
}

/** What a batch is: its rows are read while it is pending, and its jobs wait once they are made. */
function stateOfBatch(batch) {
  if (batch.status === "COMPLETED" && shortOf(batch)) return "completed_with_errors";
  return batch.status === "PENDING" ? "reading" : batch.status.toLowerCase();
}

/** Why a batch has fewer outputs than rows, in words; empty where it has them all. */
function shortOf(batch) {
  const { failed = 0, rejected = 0, canceled = 0 } = batch.states;
  const errors = failed + rejected + batch.refusedRows;
  const words = [];
  if (errors) words.push(` with ${count(errors)} error${errors === 1 ? "" : "s"}`);
  if (canceled) words.push(`, ${count(canceled)} canceled`);
  return words.join("");
}

/** A badge and a bar, as a batch stands. */
export function showBatch(badge, bar, batch) {
  const state = stateOfBatch(batch);
  setBadge(badge, state);
  if (state === "completed_with_errors") setText(badge.lastElementChild, `Completed${shortOf(batch)}`);
  setBar(bar, batch.progress, batch.metrics.failed_count ? "warn" : batch.progress >= 1 ? "ok" : "run");
}

export function badge(state, { strong = false } = {}) {
  const node = h("span", { class: strong ? "state strong" : "state" }, h("svg", { class: "icon", "aria-hidden": "true" }, h("use")), h("span"));
  setBadge(node, state);
  return node;
}

export function setBadge(node, state) {
  if (node.dataset.state === state) return;
  const { word, mark, tone } = describe(state);
  node.dataset.state = state;
  node.dataset.tone = tone;
  node.querySelector("use").setAttribute("href", `#i-${mark}`);
  setText(node.lastElementChild, word);
}

/** A bar of how far something is, for eyes and for screen readers. */
export function bar(name, { stages = false } = {}) {
  return h("div", { class: stages ? "bar stages" : "bar", role: "progressbar", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 100 }, h("span"));
}

export function setBar(node, fraction, tone = "run") {
  const parts = Math.round(fraction * 1000) / 10;
  node.dataset.tone = tone;
  node.setAttribute("aria-valuenow", String(Math.floor(parts)));
  node.firstElementChild.style.width = `${parts}%`;
}

export { icon };
