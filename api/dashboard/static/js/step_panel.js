// One step in a drawer: what it is, its attempts with the ends of their logs, and what to do.

import { Refused, get, post } from "./api.js";
import { $, ask, h, setText, toast } from "./dom.js";
import { startLog } from "./log_view.js";
import { bytes, clock, count, duration, moment } from "./format.js";
import { maySubmit } from "./shell.js";
import { badge, setBadge } from "./states.js";

export function startStepPanel(address, after) {
  const dialog = $("#step");
  const state = badge("queued", { strong: true });
  $("#step-state").append(state);
  let id = null;
  let shown = "";

  async function open(step) {
    id = step;
    shown = "";
    setText($("#step-title"), "Step");
    $("#step-body").replaceChildren(h("p", { class: "muted" }, "Loading"));
    if (!dialog.open) dialog.showModal();
    await refresh();
  }

  async function refresh() {
    if (!dialog.open || id === null) return;
    try {
      const { data } = await get(`${address}/steps/${id}/attempts`);
      if (JSON.stringify(data) === shown) return;
      shown = JSON.stringify(data);
      show(data);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      $("#step-body").replaceChildren(h("p", { class: "refusal" }, error.message));
    }
  }

  function show({ step, attempts }) {
    setText($("#step-title"), step.stage === "detect" || step.stage === "render" ? `${step.stage}, segment ${step.segmentIndex + 1}` : step.stage);
    setBadge(state, stateOfStep(step));
    const opened = new Set([...dialog.querySelectorAll("details[open]")].map((node) => node.dataset.number));
    $("#step-body").replaceChildren(...actions(step), ...trouble(step), facts(step), still(step), h("h3", {}, `Attempts (${attempts.length})`), ...attempts.map((attempt, at) => attemptNode(attempt, opened.size ? opened.has(String(attempt.number)) : at === 0)));
  }

  function actions(step) {
    if (!maySubmit || !["failed", "queued"].includes(step.state)) return [];
    const buttons = [];
    const act = async (action, done) => {
      try {
        await post(`${address}/steps/${id}/${action}`);
        toast(done);
      } catch (error) {
        toast(`${error.message} ${error.suggestion ?? ""}`, "fail");
      }
      shown = "";
      after();
    };
    if (step.state === "failed") buttons.push(h("button", { type: "button", class: "primary", on: { click: () => act("retry", "The step is tried again") } }, "Retry"));
    if (step.stage === "render" || step.stage === "detect") {
      const keep = async () => {
        if (await ask("Keep the original picture here?", "This range of the film is not dubbed, and the job goes on.", "Keep the original")) await act("keep-original", "The original picture stays here");
      };
      buttons.push(h("button", { type: "button", on: { click: keep } }, "Keep original"));
    }
    return [h("div", { class: "actions" }, buttons)];
  }

  function still(step) {
    const image = h("img", { src: `${address}/steps/${step.id}/still`, alt: `Frame of segment ${step.segmentIndex + 1}: before on the left, after on the right`, loading: "lazy" });
    const figure = h("figure", { class: "still", hidden: true }, image, h("figcaption", {}, h("span", {}, "Before"), h("span", {}, "After")));
    if (step.stage !== "render" || step.state !== "completed" || step.keptOriginal) return figure;
    image.addEventListener("load", () => (figure.hidden = false));
    image.loading = "eager";
    return figure;
  }

  return { open, refresh };
}

export function stateOfStep(step) {
  if (step.keptOriginal) return "kept-original";
  if (step.reused) return "reused";
  if (step.held) return "held";
  if (step.state === "queued" && step.notBefore) return "waiting";
  return step.state;
}

const trouble = (step) => (step.error ? [h("p", { class: "trouble" }, `${step.error} (${step.error_code ?? step.errorClass})`)] : []);

function facts(step) {
  const frames = step.frames ? `${count(step.framesDone)} of ${count(step.frames)}` : "–";
  const pairs = {
    Step: step.id,
    Frames: frames,
    Range: step.range && step.range[0] !== null ? `${count(step.range[0])} – ${count(step.range[1] - 1)}` : "–",
    Attempt: step.attempt,
    "Workers lost": step.losses,
    Failures: step.failures,
    Started: clock(step.startedAt),
    Took: step.finishedAt && step.startedAt ? duration((Date.parse(step.finishedAt) - Date.parse(step.startedAt)) / 1000) : "–",
  };
  if (step.notBefore && step.state === "queued") pairs["Not before"] = clock(step.notBefore);
  return h("dl", { class: "facts" }, Object.entries(pairs).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
}

function attemptNode(attempt, isOpen) {
  const took = attempt.endedAt ? duration((Date.parse(attempt.endedAt) - Date.parse(attempt.startedAt)) / 1000) : "running";
  const head = h("summary", {}, `Attempt ${attempt.number} `, badge(attempt.outcome ?? "running"), h("span", { class: "muted" }, ` ${took}${attempt.worker ? ` on ${attempt.worker}` : ""}`));
  const parts = [h("p", { class: "muted" }, `${moment(attempt.startedAt)} – ${clock(attempt.endedAt)}${attempt.framesDone ? `, ${count(attempt.framesDone)} frames` : ""}`)];
  if (attempt.error) parts.push(h("p", { class: "trouble" }, `${attempt.error} (${[attempt.errorClass, attempt.error_code].filter(Boolean).join(", ")})`));
  if (attempt.logTail) parts.push(startLog(attempt.logTail, `attempt-${attempt.number}.log`, bytes(attempt.logTail.length)));
  return h("details", { class: "attempt", open: isOpen, data: { number: String(attempt.number) } }, head, ...parts);
}
