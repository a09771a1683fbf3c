// A range of a job's segments: chosen in the strip, told in words, and what can be done to it.
//
// It is of the stage the job is in, for that is what the farm acts on, and it stays through every
// update; only when the job goes on to another stage it is gone, and that is said.

import { post } from "./api.js";
import { $, ask, say, setText, toast } from "./dom.js";
import { count, timecode } from "./format.js";
import { isTyping, maySubmit } from "./shell.js";

const RANGED = ["render", "detect"];
const SAY_AFTER = 400; // ms; a drag is told where it stops

const DONE = { retry: "tried again", "keep-original": "kept as the film has them", pause: "held", resume: "let go", priority: "ranked" };
const NOTHING = { retry: "Nothing there has failed.", "keep-original": "Nothing there waits or has failed.", pause: "Nothing there waits or runs.", resume: "Nothing there is held.", priority: "Nothing there waits." };

/** address: of the job; after: called once something was changed. */
export function startRange(address, after) {
  const bar = $("#range");
  const picker = $("#pick");
  const usual = matchMedia("(pointer: coarse)").matches ? "Tap one to open it" : $("#strip-hint").textContent;
  let mark = null; // {stage, index}: where a range would begin
  let chosen = null; // {stage, anchor, head, ids}; ids of both ends
  let stage = null; // the one that is acted on
  let rate = null;
  let isEnded = true;
  let changed = () => {};
  let leave = () => {};
  let saying = null;
  let isActing = false;

  const takes = (name) => stage !== null && stage.stage === name;
  const ends = () => ({ from: Math.min(chosen.anchor, chosen.head), to: Math.max(chosen.anchor, chosen.head) });
  const of = (name) => (chosen?.stage === name ? ends() : null);

  function set(next) {
    const before = chosen?.stage;
    chosen = next;
    show();
    changed(chosen?.stage ?? before);
  }

  function choose(name, anchor, head) {
    set({ stage: name, anchor, head, ids: [stage.ids[anchor], stage.ids[head]] });
    sayLater(`Chosen: ${words()}`);
  }

  function clear(why = "Nothing is chosen") {
    mark = null;
    if (!chosen) return;
    set(null);
    sayLater(why);
  }

  function sayLater(text) {
    clearTimeout(saying);
    saying = setTimeout(() => say(text), SAY_AFTER);
  }

  function frames({ from, to }) {
    const sum = (sizes) => sizes.reduce((all, size) => all + size, 0);
    const start = sum(stage.sizes.slice(0, from));
    return { start, end: start + sum(stage.sizes.slice(from, to + 1)) };
  }

  function words() {
    const { from, to } = ends();
    const { start, end } = frames({ from, to });
    const where = rate ? `${timecode(start / rate)}–${timecode(end / rate)}` : `frames ${count(start)}–${count(end - 1)}`;
    const many = to - from + 1;
    return `${many === 1 ? "segment" : "segments"} ${from === to ? from + 1 : `${from + 1}–${to + 1}`} · ${where} · ${many} ${many === 1 ? "segment" : "segments"}`;
  }

  function show() {
    bar.hidden = chosen === null;
    if (!chosen) return;
    const text = words();
    setText($("#range-words"), text[0].toUpperCase() + text.slice(1));
    $("#range-actions")?.toggleAttribute("hidden", isEnded);
  }

  async function act(action, body = {}) {
    if (isActing) return;
    isActing = true;
    try {
      const { start, end } = frames(ends());
      const answer = await post(`${address}/ranges/actions`, { action, start, end, ...body });
      const done = answer.steps.filter((step) => step.changed).length;
      toast(done ? `${done} of ${answer.steps.length} segments are ${DONE[action]}` : NOTHING[action], done ? "ok" : "fail");
    } catch (error) {
      toast(`${error.message} ${error.suggestion ?? ""}`, "fail");
    }
    isActing = false;
    after();
  }

  async function keep() {
    const text = `Where they wait or have failed, ${words()} are not dubbed, and the job goes on.`;
    if (await ask("Keep the original picture here?", text, "Keep the original")) await act("keep-original");
  }

  function pickMode(is) {
    picker.setAttribute("aria-pressed", String(is));
    setText($("#strip-hint"), is ? "Choose the first segment, then the last" : usual);
  }

  pickMode(false);
  picker.addEventListener("click", () => pickMode(picker.getAttribute("aria-pressed") !== "true"));
  $("#range-clear").addEventListener("click", () => quit());
  for (const button of bar.querySelectorAll("[data-action]")) {
    const { action } = button.dataset;
    const rank = () => ({ priority: Number($("#range-rank").value) });
    button.addEventListener("click", () => (action === "keep-original" ? keep() : act(action, action === "priority" ? rank() : {})));
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !chosen || $("dialog[open]") || isTyping(event.target)) return;
    quit();
  });

  function quit() {
    const from = chosen.stage;
    const isInside = bar.contains(document.activeElement);
    clear();
    if (isInside) leave(from);
  }

  return {
    takes,
    of,
    choose,
    isPicking: () => picker.getAttribute("aria-pressed") === "true",
    onChange: (listener) => (changed = listener),
    onLeave: (listener) => (leave = listener),

    /** Begin anew: the next extension starts at this segment. */
    start(name, index) {
      clear();
      if (takes(name)) mark = { stage: name, index };
    },

    /** From where it began, or from a segment, to this one. */
    extend(name, index, from = mark?.stage === name ? mark.index : index) {
      choose(name, chosen?.stage === name ? chosen.anchor : from, index);
    },

    /** One end, then the other. */
    pick(name, index) {
      const isSecond = chosen?.stage === name && chosen.isOpen;
      choose(name, isSecond ? chosen.anchor : index, index);
      chosen.isOpen = !isSecond;
      if (isSecond) pickMode(false);
    },

    enter() {
      (bar.querySelector("#range-actions:not([hidden]) button") ?? $("#range-clear")).focus();
    },

    /** What there is now. */
    look(strip, job) {
      rate = strip.frameRate;
      isEnded = Boolean(job.finishedAt);
      stage = RANGED.map((name) => strip.stages.find((each) => each.stage === name)).find(Boolean) ?? null;
      picker.hidden = !stage || isEnded || !maySubmit;
      if (!chosen) return;
      const isGone = chosen.stage !== stage?.stage || stage.ids[chosen.anchor] !== chosen.ids[0] || stage.ids[chosen.head] !== chosen.ids[1];
      if (isGone) clear("The job went on to another stage: nothing is chosen any more");
      else show();
    },
  };
}
