// All segments of a job, a cell each, stage by stage; thousands fit. A canvas each, driven like a
// slider: arrow keys go from segment to segment, Enter opens. Each state has a mark of its own
// besides its colour.

import { $, h, keyed, setText } from "./dom.js";
import { count } from "./format.js";
import { badge, describe } from "./states.js";

const FEW = 64; // so many share one row as wide cells
const CELL = 12;
const ROW = 20;

export function startStrip(place, open) {
  const rows = new Map(); // stage → Row
  let letters = {};

  function show(strip) {
    letters = strip.letters;
    keyed(
      place,
      strip.stages,
      (stage) => stage.stage,
      (stage) => {
        const row = new Row(stage.stage, open);
        rows.set(stage.stage, row);
        return row.node;
      },
      (_node, stage) => rows.get(stage.stage).show(stage, letters),
    );
    showLegend(strip);
  }

  const redraw = () => rows.forEach((row) => row.draw(true));
  new ResizeObserver(redraw).observe(place);
  document.addEventListener("theme", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  return { show };
}

function showLegend(strip) {
  const sums = new Map();
  for (const stage of strip.stages) {
    for (const letter of stage.states) sums.set(letter, (sums.get(letter) ?? 0) + 1);
  }
  const there = Object.entries(strip.letters).filter(([letter]) => sums.has(letter));
  keyed($("#legend"), there, ([letter]) => letter, ([, state]) => h("span", {}, badge(state), h("span", { class: "muted" })), (node, [letter]) => setText(node.lastElementChild, ` ${count(sums.get(letter))}`));
}

class Row {
  constructor(stage, open) {
    this.stage = stage;
    this.open = open;
    this.at = 0;
    this.states = "";
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.slider = h(
      "div",
      { role: "slider", tabindex: 0, "aria-label": `Segments of ${stage}`, "aria-valuemin": 1, on: { keydown: (event) => this.onKey(event), focus: () => this.tell(), blur: () => this.quiet() } },
      this.canvas,
    );
    this.canvas.addEventListener("pointermove", (event) => this.onPointer(event));
    this.canvas.addEventListener("pointerleave", () => this.quiet());
    this.canvas.addEventListener("click", (event) => this.onPointer(event) && this.open(this.ids[this.at]));
    this.count = h("div", { class: "count" });
    this.node = h("div", { class: "strip-row" }, h("h3", {}, stage), this.slider, this.count);
  }

  show(stage, letters) {
    const isNew = this.states !== stage.states;
    Object.assign(this, { ids: stage.ids, states: stage.states, letters });
    const done = [...stage.states].filter((letter) => "cuk".includes(letter)).length;
    setText(this.count, `${count(done)} of ${count(stage.states.length)}`);
    this.slider.setAttribute("aria-valuemax", String(stage.states.length));
    this.value();
    this.draw(isNew);
  }

  /** Columns, and the width and height of a cell, for the width there is. */
  measure() {
    const width = this.slider.clientWidth;
    const total = this.states.length;
    if (total <= FEW && width / total >= 5) {
      return { width, columns: total, cellWidth: total < 6 ? Math.min(width / total, 120) : width / total, cellHeight: ROW, rows: 1 };
    }
    const columns = Math.max(1, Math.floor(width / CELL));
    return { width, columns, cellWidth: width / columns, cellHeight: CELL, rows: Math.ceil(total / columns) };
  }

  draw(isNew) {
    if (!isNew || !this.slider.clientWidth || !this.states) return;
    const grid = (this.grid = this.measure());
    const scale = devicePixelRatio || 1;
    const height = grid.rows * grid.cellHeight;
    this.canvas.width = Math.round(grid.width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.height = `${height}px`;
    const ink = this.canvas.getContext("2d");
    ink.scale(scale, scale);
    const tones = tonesOf(this.node, this.letters);
    for (let index = 0; index < this.states.length; index += 1) {
      const { x, y, w, height: tall } = this.cell(index);
      drawCell(ink, this.states[index], tones, x, y, w, tall);
    }
    this.mark(ink, tones.text);
  }

  mark(ink, tone) {
    if (document.activeElement !== this.slider && !this.isHovered) return;
    const { x, y, w, height } = this.cell(this.at);
    ink.strokeStyle = tone;
    ink.lineWidth = 2;
    ink.strokeRect(x + 0.5, y + 0.5, w - 1, height - 1);
  }

  cell(index) {
    const { columns, cellWidth, cellHeight } = this.grid;
    const x = (index % columns) * cellWidth;
    const y = Math.floor(index / columns) * cellHeight;
    const gap = cellWidth > 8 ? 2 : 1;
    return { x, y, w: cellWidth - gap, height: cellHeight - 2 };
  }

  onPointer(event) {
    const { columns, cellWidth, cellHeight } = this.grid;
    const column = Math.floor(event.offsetX / cellWidth);
    const index = Math.floor(event.offsetY / cellHeight) * columns + column;
    if (column >= columns || index >= this.states.length || index < 0) {
      this.quiet();
      return false;
    }
    this.isHovered = true;
    this.go(index);
    return true;
  }

  onKey(event) {
    const columns = this.grid?.columns ?? 1;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns === this.states.length ? 1 : columns, ArrowUp: columns === this.states.length ? -1 : -columns, PageDown: 10, PageUp: -10 };
    if (event.key in steps) this.go(this.at + steps[event.key]);
    else if (event.key === "Home") this.go(0);
    else if (event.key === "End") this.go(this.states.length - 1);
    else if (event.key === "Enter" || event.key === " ") this.open(this.ids[this.at]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  go(index) {
    this.at = Math.min(this.states.length - 1, Math.max(0, index));
    this.value();
    this.tell();
  }

  value() {
    this.at = Math.min(this.at, this.states.length - 1);
    this.slider.setAttribute("aria-valuenow", String(this.at + 1));
    this.slider.setAttribute("aria-valuetext", this.words());
  }

  words() {
    return `${this.stage}, segment ${this.at + 1} of ${this.states.length}: ${describe(this.letters[this.states[this.at]]).word}`;
  }

  tell() {
    setText($("#strip-told"), this.words());
    this.draw(true);
  }

  quiet() {
    this.isHovered = false;
    this.draw(true);
  }
}

/** Colours as the theme has them now, by letter. */
function tonesOf(within, letters) {
  const probe = h("span", { hidden: true });
  within.append(probe);
  const read = (tone) => {
    probe.style.color = `var(--${tone})`;
    return getComputedStyle(probe).color;
  };
  const tones = { text: read("text"), surface: read("surface"), line: read("muted") };
  for (const [letter, state] of Object.entries(letters)) tones[letter] = read(describe(state).tone);
  probe.remove();
  return tones;
}

function drawCell(ink, letter, tones, x, y, w, height) {
  const tone = tones[letter];
  const middle = { x: x + w / 2, y: y + height / 2 };
  const reach = Math.min(w, height) / 2 - 2;
  ink.lineWidth = 1;
  ink.strokeStyle = ink.fillStyle = tone;
  if ("qwhx".includes(letter)) ink.strokeRect(x + 0.5, y + 0.5, w - 1, height - 1);
  else ink.fillRect(x, y, w, height);
  ink.strokeStyle = ink.fillStyle = "qwhx".includes(letter) ? tone : tones.surface;
  ink.lineWidth = 1.5;
  if (letter === "f") cross(ink, middle, reach * 0.8);
  else if (letter === "x") line(ink, middle.x - reach, middle.y + reach, middle.x + reach, middle.y - reach);
  else if (letter === "r") ink.fillRect(middle.x, y + 2, w / 2 - 2, height - 4);
  else if (letter === "k") dot(ink, middle, Math.max(1.5, reach * 0.5));
  else if (letter === "u") ink.fillRect(x + 2, y + height - 4, w - 4, 1.5);
  else if (letter === "w") dot(ink, middle, Math.max(1.5, reach * 0.5));
  else if (letter === "h") {
    ink.fillRect(middle.x - 3, y + 4, 2, height - 8);
    ink.fillRect(middle.x + 1, y + 4, 2, height - 8);
  }
}

function line(ink, x1, y1, x2, y2) {
  ink.beginPath();
  ink.moveTo(x1, y1);
  ink.lineTo(x2, y2);
  ink.stroke();
}

function cross(ink, { x, y }, reach) {
  line(ink, x - reach, y - reach, x + reach, y + reach);
  line(ink, x - reach, y + reach, x + reach, y - reach);
}

function dot(ink, { x, y }, radius) {
  ink.beginPath();
  ink.arc(x, y, radius, 0, 2 * Math.PI);
  ink.fill();
}
