// One job as a row of the list.

import { h, setAttribute, setText } from "./dom.js";
import { age, cost, duration, percent, roughly, setAge, shortId } from "./format.js";
import { badge, bar, describe, setBadge, setBar, stateOf } from "./states.js";

export function makeRow(job, bulk) {
  const box = h("input", { type: "checkbox", "aria-label": `Select ${nameOf(job)}`, on: { change: () => bulk.choose(job.id, box.checked) } });
  return h(
    "tr",
    {},
    h("td", {}, box),
    h("td", { class: "name wrap" }, h("a", { href: `/dashboard/jobs/${job.id}`, data: { rowLink: "" } }), h("div", { class: "under" })),
    h("td", { class: "lang" }),
    h("td", { class: "stage" }, h("div", { class: "stage-line" }, badge("queued"), h("span", { class: "muted" })), bar(`Progress of ${nameOf(job)}`, { stages: true })),
    h("td", { class: "number more eta nowrap" }),
    h("td", { class: "number gpu nowrap" }, h("div"), h("div", { class: "muted" })),
    h("td", { class: "number priority" }),
    h("td", { class: "number more age nowrap" }, age(job.createdAt)),
    h("td", { class: "network" }),
  );
}

export function showRow(row, job) {
  const [choice, name, language, stage, eta, gpu, priority, ordered, network] = row.children;
  setAttribute(row, "data-selected", choice.firstElementChild.checked);
  setText(name.firstElementChild, nameOf(job));
  showUnder(name.lastElementChild, job);
  setText(language, job.language ?? "–");
  const state = stateOf(job);
  setBadge(stage.querySelector(".state"), state);
  const doing = state === "paused" && job.stage ? `in ${job.stage} · ` : "";
  setText(stage.querySelector(".stage-line > .muted"), doing + percent(job.progress));
  setBar(stage.lastElementChild, job.progress, describe(state).tone);
  setText(eta, job.eta === null || ["paused", "attention"].includes(state) ? "–" : roughly(job.eta));
  setText(gpu.firstElementChild, job.gpuSeconds ? duration(job.gpuSeconds) : "–");
  setText(gpu.lastElementChild, job.gpuSeconds ? (cost(job.gpuCost) ?? "") : "");
  setText(priority, job.priority);
  setAge(ordered.firstElementChild, job.createdAt);
  setText(network, networkOf(job));
}

export const nameOf = (job) => job.name ?? job.outputName ?? shortId(job.id);

/** What it was dubbed with; until then what was asked for. */
export function networkOf(job) {
  const used = job.renderedWith?.network ?? job.report?.network;
  return (typeof used === "object" && used !== null ? used.name : used) ?? job.network ?? "–";
}

function showUnder(node, job) {
  const left = job.report?.leftOut?.length ?? 0;
  const mark = left ? `${left} left out` : "";
  const words = [shortId(job.id), ...job.labels.map((label) => `label:${label}`), mark, job.failure && job.failure !== "canceled" ? job.failure.replaceAll("_", " ") : ""];
  if (node.dataset.words === words.join("\n")) return;
  node.dataset.words = words.join("\n");
  node.replaceChildren(
    h("span", { class: "mono" }, words[0]),
    ...job.labels.map((label) => h("span", { class: "label" }, label)),
    ...(mark ? [h("span", { class: "left-out", title: job.report.leftOut.join("\n") }, mark)] : []),
    ...(words.at(-1) ? [h("span", {}, words.at(-1))] : []),
  );
}
