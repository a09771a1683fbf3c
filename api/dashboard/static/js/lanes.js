// When each stage was at work, on one scale from the order to its end, or to now.

import { now } from "./api.js";
import { h, keyed, setAttribute, setText } from "./dom.js";
import { count, duration } from "./format.js";

export function showLanes(place, job, strip) {
  const begins = Date.parse(job.startedAt ?? job.createdAt);
  const ends = job.finishedAt ? Date.parse(job.finishedAt) : now();
  const span = Math.max(1, ends - begins);
  keyed(place, strip.stages, (stage) => stage.stage, makeLane, (lane, stage) => showLane(lane, stage, begins, ends, span));
}

const makeLane = (stage) => h("div", { class: "lane" }, h("span", {}, stage.stage), h("div", { class: "track" }, h("span")), h("span", { class: "end" }));

function showLane(lane, stage, begins, ends, span) {
  const [, track, end] = lane.children;
  const bar = track.firstElementChild;
  bar.hidden = !stage.startedAt;
  if (!stage.startedAt) return setText(end, /^u+$/.test(stage.states) ? "reused" : "not begun");
  const from = Date.parse(stage.startedAt);
  const to = stage.finishedAt ? Date.parse(stage.finishedAt) : ends;
  const left = within(from - begins, span);
  bar.style.left = `min(${left}%, 100% - 3px)`;
  bar.style.width = `${within(to - begins, span) - left}%`;
  const isFailed = stage.states.includes("f");
  bar.dataset.tone = isFailed ? "fail" : stage.finishedAt ? "ok" : "run";
  setAttribute(bar, "data-open", !stage.finishedAt);
  const seconds = Math.max(0, to - from) / 1000;
  const frames = stage.frames ? ` · ${count(stage.framesDone)} frames` : "";
  setText(end, `${duration(seconds)}${frames}`);
  lane.title = `${stage.stage}: ${duration(seconds)}`;
}

/** A moment as per cent of the lane. By another clock than the stage's it may lie outside: it stays at the end. */
const within = (moment, span) => Math.min(100, Math.max(0, (100 * moment) / span));
