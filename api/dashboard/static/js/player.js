// Before and after, in step with each other because they are one picture: the preview has the film
// before on its left half and after on its right. Both are drawn over each other on a canvas with a
// divider that is dragged.

import { h, setText } from "./dom.js";
import { isTyping } from "./shell.js";

const RATE = 25; // where the report does not say
const STEP = 0.02;
const HIGHEST = "62vh";

export function startPlayer(place, address) {
  const section = place.closest("section");
  let player = null;
  let lookedAt = null;

  return {
    /** Show what there is; asked again when the job went on. */
    async look(job, report) {
      const isThere = job.previewUrl !== undefined ? job.previewUrl !== null : job.state === "completed";
      const now = `${job.state} ${isThere}`;
      if (player || !isThere || lookedAt === now) return;
      lookedAt = now;
      const made = new Player(rateOf(job, report));
      if (!(await made.load(`${address}/preview`))) return;
      player = made;
      section.hidden = false;
      place.replaceChildren(made.node);
      made.show();
    },
  };
}

/** Frames a second of the output. */
function rateOf(job, report) {
  const frames = report?.frames?.out;
  return frames && job.outputDuration ? frames / job.outputDuration : RATE;
}

class Player {
  constructor(rate) {
    this.rate = rate;
    this.at = 0.5;
    this.video = h("video", { muted: true, playsinline: true, preload: "auto", "aria-hidden": "true", tabindex: -1 });
    this.video.muted = true;
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.line = h("div", { class: "wipe-line", "aria-hidden": "true" });
    this.box = h("div", { class: "stage-box", on: { pointerdown: (event) => this.drag(event) } }, this.video, this.canvas, this.line, h("span", { class: "side before" }, "before"), h("span", { class: "side after" }, "after"));
    this.button = h("button", { type: "button", on: { click: () => this.toggle() } }, "Play");
    this.seek = h("input", { type: "range", min: 0, step: "any", value: 0, "aria-label": "Position", on: { input: () => this.go(Number(this.seek.value)) } });
    this.wipe = h("input", { type: "range", min: 0, max: 1, step: STEP, value: this.at, "aria-label": "Divider between before and after", on: { input: () => this.divide(Number(this.wipe.value)) } });
    this.told = h("output", {});
    this.sound = h("button", { type: "button", "aria-pressed": "false", on: { click: () => this.turnSound() } }, "Sound");
    this.node = h(
      "div",
      { class: "player" },
      this.box,
      h("div", { class: "controls" }, this.button, h("button", { type: "button", "aria-label": "One frame back", on: { click: () => this.step(-1) } }, "◂ frame"), h("button", { type: "button", "aria-label": "One frame on", on: { click: () => this.step(1) } }, "frame ▸"), this.seek, this.told, this.sound),
      h("div", { class: "controls" }, h("span", { class: "muted" }, "before"), this.wipe, h("span", { class: "muted" }, "after")),
    );
    for (const name of ["play", "pause", "ended"]) this.video.addEventListener(name, () => setText(this.button, this.video.paused ? "Play" : "Pause"));
    for (const name of ["seeked", "loadeddata", "timeupdate"]) this.video.addEventListener(name, () => this.draw());
    document.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** Whether there is a preview. */
  load(address) {
    this.video.src = address;
    return new Promise((resolve) => {
      this.video.addEventListener("loadeddata", () => resolve(true), { once: true });
      this.video.addEventListener("error", () => resolve(false), { once: true });
    });
  }

  show() {
    this.canvas.width = Math.floor(this.video.videoWidth / 2);
    this.canvas.height = this.video.videoHeight;
    // The box has the picture's shape, so that a place in one is a place in the other.
    this.box.style.maxWidth = `calc(${HIGHEST} * ${this.canvas.width / this.canvas.height})`;
    this.seek.max = this.video.duration;
    this.divide(this.at);
    this.watch();
  }

  watch() {
    if (!this.video.requestVideoFrameCallback) return; // timeupdate draws, a few times a second
    const drawn = () => {
      this.draw();
      this.video.requestVideoFrameCallback(drawn);
    };
    this.video.requestVideoFrameCallback(drawn);
  }

  draw() {
    const { width, height } = this.canvas;
    if (!width) return;
    const ink = this.canvas.getContext("2d");
    const cut = Math.round(this.at * width);
    ink.drawImage(this.video, 0, 0, cut, height, 0, 0, cut, height);
    ink.drawImage(this.video, width + cut, 0, width - cut, height, cut, 0, width - cut, height);
    if (document.activeElement !== this.seek) this.seek.value = this.video.currentTime;
    setText(this.told, `${this.video.currentTime.toFixed(2)} s · frame ${this.frame()}`);
  }

  frame() {
    return Math.floor(this.video.currentTime * this.rate + 1e-3);
  }

  divide(at) {
    this.at = Math.min(1, Math.max(0, at));
    this.wipe.value = this.at;
    this.line.style.left = `${100 * this.at}%`;
    this.draw();
  }

  drag(event) {
    const move = (moved) => {
      const { left, width } = this.canvas.getBoundingClientRect();
      this.divide((moved.clientX - left) / width);
    };
    const stop = () => this.box.removeEventListener("pointermove", move);
    this.box.setPointerCapture(event.pointerId);
    this.box.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) this.box.addEventListener(name, stop, { once: true });
    move(event);
  }

  toggle() {
    if (this.video.paused) this.video.play();
    else this.video.pause();
  }

  turnSound() {
    this.video.muted = !this.video.muted;
    this.sound.setAttribute("aria-pressed", String(!this.video.muted));
  }

  /** To the middle of a frame: its edges belong to two. */
  step(by) {
    this.video.pause();
    this.go((Math.max(0, this.frame() + by) + 0.5) / this.rate);
  }

  go(seconds) {
    this.video.currentTime = Math.min(this.video.duration, Math.max(0, seconds));
  }

  onKey(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]") || isTyping(event.target)) return;
    const acts = { ",": () => this.step(-1), ".": () => this.step(1) };
    if (event.target === document.body || this.node.contains(event.target)) {
      acts.ArrowLeft = () => this.divide(this.at - STEP);
      acts.ArrowRight = () => this.divide(this.at + STEP);
      if (event.target.tagName !== "BUTTON") acts[" "] = () => this.toggle();
    }
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }
}
