// What was done to each shot, from the report: dubbed, passed through, doubtful, and why.

import { $, h, setText } from "./dom.js";
import { count } from "./format.js";

let shown = null;

export function showShots(job, report) {
  const place = $("#shots");
  const now = report ? "report" : (job.state ?? "");
  if (shown === now) return;
  shown = now;
  if (!report) {
    place.replaceChildren(h("p", { class: "muted" }, job.finishedAt ? "There is no report: the job did not complete." : "The report comes with the output."));
    return;
  }
  const { frames, shots = [] } = report;
  setText($("#shots-sum"), `${count(frames.dubbed)} of ${count(frames.out)} frames dubbed, ${count(frames.passed_through)} passed through`);
  place.replaceChildren(h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Shots" }, table(shots)), ...kept(report.kept_original ?? []));
}

function table(shots) {
  const heads = ["Shot", "Frames", "Faces", "Dubbed", "Passed through", "Doubtful", "Why"];
  return h(
    "table",
    { class: "stack" },
    h("thead", {}, h("tr", {}, heads.map((head, at) => h("th", { scope: "col", class: at > 0 && at < 6 ? "number" : "" }, head)))),
    h("tbody", {}, shots.map((shot, at) => row(shot, at, heads))),
  );
}

function row(shot, at, heads) {
  const sums = { dubbed: 0, "passed through": 0, doubtful: 0 };
  const reasons = new Map();
  for (const span of shot.spans) {
    const frames = span.end - span.start;
    sums[span.what] = (sums[span.what] ?? 0) + frames;
    if (span.reason) reasons.set(span.reason, (reasons.get(span.reason) ?? 0) + frames);
  }
  const why = [...reasons].map(([reason, frames]) => `${reason.replaceAll("_", " ")} (${count(frames)})`).join(", ");
  const values = [at + 1, `${count(shot.start)} – ${count(shot.end - 1)}`, shot.faces_seen, count(sums.dubbed), count(sums["passed through"]), sums.doubtful ? h("strong", { data: { tone: "warn" }, class: "state" }, `▲ ${count(sums.doubtful)}`) : "0", why || "–"];
  return h("tr", {}, values.map((value, column) => h("td", { class: column > 0 && column < 6 ? "number" : "wrap", data: { head: heads[column] } }, value instanceof Node ? value : String(value))));
}

function kept(ranges) {
  if (!ranges.length) return [];
  const words = ranges.map((range) => `${count(range.start)} – ${count(range.end - 1)} (${range.reason.replaceAll("_", " ")})`).join(", ");
  return [h("p", { class: "muted" }, `Original picture kept: ${words}`)];
}
