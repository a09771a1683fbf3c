// A film and a dialogue, from this browser into the farm.

import { Refused, get, leave, post } from "./api.js";
import { $, $$, setText } from "./dom.js";
import { bytes, duration } from "./format.js";
import { Live } from "./live.js";
import { startShell } from "./shell.js";
import { Stopped, Unreachable, patiently, uploadInParts } from "./upload_parts.js";

startShell();
new Live({ refresh: () => get("/v2/models"), every: 30 }).start();

const form = $("#order");
const uploaded = new WeakMap(); // File → {kind: asset id}
let sending = null; // an AbortController
let key = null;

const value = (name) => form.elements[name].value.trim();
const fileOf = (name) => form.elements[name].files[0];
const kindOf = (name) => (name === "video" && fileOf(name).type.startsWith("image/") ? "image" : name);

function order() {
  const body = { options: { sync_mode: value("sync_mode"), faces: value("faces") } };
  for (const name of ["name", "language", "model"]) if (value(name)) body[name] = value(name);
  if (value("priority")) body.priority = Number(value("priority"));
  body.labels = value("labels").split(",").map((label) => label.trim()).filter(Boolean);
  return body;
}

/** Both files into the bucket, then the order that names them. */
async function submit() {
  sending = new AbortController();
  const { signal } = sending;
  const progress = startProgress(["video", "audio"].map((name) => fileOf(name).size));
  // The same until it arrived: sent twice after a broken connection, it is one job.
  key ??= Array.from(crypto.getRandomValues(new Uint8Array(16)), (each) => each.toString(16).padStart(2, "0")).join("");
  const headers = { "idempotency-key": key };
  const { waits } = progress;
  try {
    const input = [];
    for (const [at, name] of ["video", "audio"].entries()) {
      const type = kindOf(name);
      input.push({ type, assetId: await asset(fileOf(name), type, { told: progress.told(at), waits, signal }) });
    }
    const job = await patiently(() => post("/v2/generate", { ...order(), input }, headers), { waits, signal });
    location.assign(`/dashboard/jobs/${job.id}`);
  } catch (error) {
    if (error instanceof Unreachable) await throughFarm(progress, headers).catch(refused);
    else refused(error);
  }
}

async function asset(file, kind, watch) {
  const known = uploaded.get(file) ?? {};
  known[kind] ??= await uploadInParts(file, kind, watch);
  uploaded.set(file, known);
  watch.told(file.size, 0);
  return known[kind];
}

/** In one form through the API, where the bucket cannot be reached from here. */
function throughFarm(progress, headers) {
  const body = new FormData();
  for (const [name, given] of Object.entries(order())) body.set(name, typeof given === "object" ? JSON.stringify(given) : given);
  // Files last: what is wrong beside them is seen before they are sent.
  for (const name of ["video", "audio"]) body.set(name, fileOf(name));
  const request = new XMLHttpRequest();
  sending.signal.addEventListener("abort", () => request.abort());
  const told = progress.told(0);
  progress.told(1)(0, 0);
  return new Promise((_, reject) => {
    // fetch tells no progress of what it sends; this does.
    request.upload.addEventListener("progress", ({ loaded }) => told(loaded, 0));
    request.addEventListener("load", () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        // Said by its status, then.
      }
      if (request.status === 401) leave();
      else if (request.status < 300) location.assign(`/dashboard/jobs/${answer.id}`);
      else reject(new Refused(request.status, answer));
    });
    request.addEventListener("error", () => reject(new TypeError("the connection broke")));
    request.addEventListener("abort", () => reject(new Stopped()));
    request.open("POST", "/v2/generate");
    for (const [name, given] of Object.entries(headers)) request.setRequestHeader(name, given);
    request.send(body);
  });
}

/** A bar and words for files that are sent one after the other. */
function startProgress(sizes) {
  const began = Date.now();
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const there = sizes.map(() => 0);
  const before = sizes.map(() => 0);
  let waiting = null;
  let shownAt = 0;

  function show(isNow = false) {
    const loaded = Math.min(total, there.reduce((sum, bytes) => sum + bytes, 0));
    $("#upload").value = loaded / total;
    // Words are read aloud: not more often than anybody can listen.
    if (!isNow && loaded < total && Date.now() - shownAt < 1000) return;
    shownAt = Date.now();
    const sent = loaded - before.reduce((sum, bytes) => sum + bytes, 0);
    const left = sent > 0 ? `, about ${duration(((total - loaded) * (Date.now() - began)) / 1000 / sent)} left` : "";
    const words = loaded < total ? `${bytes(loaded)} of ${bytes(total)}${left}` : "Sent; the farm is taking it in.";
    setText($("#sent"), waiting ? `${waiting} ${bytes(loaded)} of ${bytes(total)} are there. Trying again.` : words);
  }

  show(true);
  return {
    told: (at) => (loaded, was) => {
      there[at] = loaded;
      before[at] = was;
      show();
    },
    waits(reason) {
      if (reason === waiting) return;
      waiting = reason;
      show(true);
    },
  };
}

function refused(error) {
  if (error instanceof Stopped) return refuse("Stopped. What has arrived is kept: send the same files again, and it goes on.");
  if (error instanceof TypeError) return refuse("The connection broke. Nothing is lost: send it again.");
  if (!(error instanceof Refused)) throw error;
  key = null; // it is refused as it is; what comes next is another order
  if (/inaccessible|asset|upload/.test(error.code)) for (const name of ["video", "audio"]) uploaded.delete(fileOf(name));
  refuse([error.message, error.suggestion].filter(Boolean).join(" "));
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
  submit();
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
