// What a job made, to take away.

import { h, say, toast } from "./dom.js";
import { bytes, duration } from "./format.js";

export function showDownloads(place, job, report) {
  const now = `${job.state} ${job.outputSha256} ${report !== null}`;
  if (place.dataset.now === now) return;
  place.dataset.now = now;
  if (!job.outputSha256) {
    place.replaceChildren(h("p", { class: "muted" }, job.finishedAt ? "No output was made." : "Not there yet."));
    return;
  }
  const address = `/v2/generate/${job.id}`;
  place.replaceChildren(
    h(
      "div",
      { class: "actions" },
      h("a", { class: "button primary", href: `${address}/output`, download: job.outputName ?? "" }, `Download ${job.outputName ?? "output"}`),
      h("a", { class: "button", href: `${address}/report`, download: `${job.id}.report.json` }, "Report (JSON)"),
    ),
    h("dl", { class: "facts" }, fact("Size", bytes(job.outputSizeBytes)), fact("Length", duration(job.outputDuration)), fact("Took", duration((Date.parse(job.finishedAt) - Date.parse(job.startedAt)) / 1000))),
    h("p", { class: "hint" }, "SHA-256"),
    h("div", { class: "actions" }, h("code", { class: "digest" }, job.outputSha256), h("button", { type: "button", on: { click: () => copy(job.outputSha256) } }, "Copy")),
  );
}

const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    say("This page may not write to the clipboard.");
    toast("The browser does not let this page copy; select the text instead.", "fail");
  }
}
