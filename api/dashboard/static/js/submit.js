// A film and a dialogue, from this browser into the farm.

import { get, leave } from "./api.js";
import { $, $$, setText } from "./dom.js";
import { bytes, duration } from "./format.js";
import { Live } from "./live.js";
import { startShell } from "./shell.js";

startShell();
new Live({ refresh: () => get("/v2/models"), every: 30 }).start();

const form = $("#order");
let sending = null;
let key = null;

function fields() {
  const body = new FormData();
  const value = (name) => form.elements[name].value.trim();
  for (const name of ["name", "language", "model", "priority"]) if (value(name)) body.set(name, value(name));
  const labels = value("labels").split(",").map((label) => label.trim()).filter(Boolean);
  if (labels.length) body.set("labels", JSON.stringify(labels));
  body.set("options", JSON.stringify({ sync_mode: value("sync_mode"), faces: value("faces") }));
  // Files last: what is wrong beside them is seen before they are sent.
  for (const name of ["video", "audio"]) body.set(name, form.elements[name].files[0]);
  return body;
}

/** fetch tells no progress of what it sends; this does. */
function upload(body) {
  const request = (sending = new XMLHttpRequest());
  const began = Date.now();
  request.open("POST", "/v2/generate");
  // The same until it arrived: sent twice after a broken connection, it is one job.
  key ??= Array.from(crypto.getRandomValues(new Uint8Array(16)), (each) => each.toString(16).padStart(2, "0")).join("");
  request.setRequestHeader("idempotency-key", key);
  request.upload.addEventListener("progress", (event) => showProgress(event, began));
  request.addEventListener("load", () => answered(request));
  request.addEventListener("error", () => refuse("The connection broke. Nothing is lost: send it again."));
  request.addEventListener("abort", () => refuse("Stopped."));
  request.send(body);
}

function showProgress({ loaded, total }, began) {
  $("#upload").value = total ? loaded / total : 0;
  const seconds = (Date.now() - began) / 1000;
  const left = loaded ? ((total - loaded) * seconds) / loaded : 0;
  setText($("#sent"), loaded < total ? `${bytes(loaded)} of ${bytes(total)}, about ${duration(left)} left` : "Sent; the farm is storing it.");
}

function answered(request) {
  let body = {};
  try {
    body = JSON.parse(request.responseText);
  } catch {
    // Said by its status, then.
  }
  if (request.status === 401) return leave();
  if (request.status < 300) return location.assign(`/dashboard/jobs/${body.id}`);
  key = null; // it is refused as it is; what comes next is another order
  refuse([body.message ?? `The server answered ${request.status}.`, body.suggestion].filter(Boolean).join(" "));
}

function refuse(message) {
  busy(false);
  setText($("#refusal"), message);
  $("#refusal").hidden = false;
}

function busy(is) {
  $("#send").disabled = is;
  $("#stop").hidden = $("#upload").hidden = !is;
  if (!is) setText($("#sent"), "");
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  $("#refusal").hidden = true;
  busy(true);
  upload(fields());
});
form?.addEventListener("change", () => (key = null));
$("#stop")?.addEventListener("click", () => sending?.abort());

for (const drop of $$(".drop")) {
  const over = (is) => (event) => {
    event.preventDefault();
    drop.toggleAttribute("data-over", is);
  };
  drop.addEventListener("dragover", over(true));
  drop.addEventListener("dragleave", over(false));
  drop.addEventListener("drop", (event) => {
    over(false)(event);
    if (event.dataTransfer.files.length) drop.querySelector("input").files = event.dataTransfer.files;
  });
}
