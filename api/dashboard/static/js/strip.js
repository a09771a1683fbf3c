// All segments of a job, a cell each, stage by stage; thousands fit. A canvas each, driven like a
// slider: arrow keys go from segment to segment, Enter opens. Where something can be done to a range
// of them, the mouse draws one, Shift extends it, and so do two taps.

import { $, h, keyed, setText } from "./dom.js";
import { count } from "./format.js";
import { badge, describe } from "./states.js";
import { drawCell, tonesOf } from "./strip_cells.js";

const FEW = 64; // so many share one row as wide cells
const CELL = 12;
const ROW = 20;

/** range: what is chosen of the strip, see strip_range.js. */
export function startStrip(place, open, range) {
  const rows = new Map(); // stage → Row
  let letters = {};

  function show(strip) {
    letters = strip.letters;
    keyed(
      place,
      strip.stages,
      (stage) => stage.stage,
      (stage) => {
        const row = new Row(stage.stage, open, range);
        rows.set(stage.stage, row);
        return row.node;
      },
      (_node, stage) => rows.get(stage.stage).show(stage, letters),
    );
    showLegend(strip);
  }

  const redraw = () => rows.forEach((row) => row.draw(true));
  range.onChange((stage) => {
    redraw();
    rows.get(stage)?.value();
  });
  range.onLeave((stage) => rows.get(stage)?.slider.focus());
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
  constructor(stage, open, range) {
    Object.assign(this, { stage, open, range, at: 0, states: "", pressed: null, isDrawn: false });
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.slider = h(
      "div",
      { role: "slider", tabindex: 0, "aria-label": `Segments of ${stage}`, "aria-valuemin": 1, on: { keydown: (event) => this.onKey(event), focus: () => this.tell(), blur: () => this.quiet() } },
      this.canvas,
    );
    this.canvas.addEventListener("pointerdown", (event) => this.onPress(event));
    this.canvas.addEventListener("pointermove", (event) => this.onMove(event));
    this.canvas.addEventListener("pointerleave", () => this.quiet());
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => (this.pressed = null));
    this.canvas.addEventListener("click", (event) => this.onClick(event));
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
    const chosen = this.range.of(this.stage);
    for (let index = 0; index < this.states.length; index += 1) {
      const { x, y, w, height: tall } = this.cell(index);
      const isIn = chosen && index >= chosen.from && index <= chosen.to;
      if (isIn) {
        ink.fillStyle = tones.accent;
        ink.fillRect(x - 1, y + tall - 2, w + 2, 4);
      }
      ink.globalAlpha = chosen && !isIn ? 0.3 : 1;
      drawCell(ink, this.states[index], tones, x, y, w, isIn ? tall - 3 : tall);
      ink.globalAlpha = 1;
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

  /** The segment under a pointer, null beside them; a drag that left the strip means the nearest. */
  under(event, isNearest = false) {
    const { columns, cellWidth, cellHeight, rows } = this.grid;
    let column = Math.floor(event.offsetX / cellWidth);
    let row = Math.floor(event.offsetY / cellHeight);
    if (isNearest) {
      column = Math.min(columns - 1, Math.max(0, column));
      row = Math.min(rows - 1, Math.max(0, row));
      return Math.min(this.states.length - 1, row * columns + column);
    }
    const index = row * columns + column;
    return column < 0 || column >= columns || index < 0 || index >= this.states.length ? null : index;
  }

  onPress(event) {
    this.isDrawn = false;
    // A finger that moves scrolls the page; it chooses by taps.
    if (event.button !== 0 || event.pointerType === "touch" || event.shiftKey || !this.range.takes(this.stage)) return;
    this.pressed = this.under(event);
    if (this.pressed !== null) this.canvas.setPointerCapture(event.pointerId);
  }

  onMove(event) {
    const index = this.under(event, this.pressed !== null);
    if (index === null) return this.quiet();
    this.isHovered = true;
    this.go(index);
    if (this.pressed === null || (index === this.pressed && !this.isDrawn)) return;
    this.isDrawn = true;
    this.range.choose(this.stage, this.pressed, index);
  }

  onClick(event) {
    const index = this.under(event);
    if (this.isDrawn || index === null) return;
    this.go(index);
    if (this.range.takes(this.stage) && event.shiftKey) this.range.extend(this.stage, index);
    else if (this.range.takes(this.stage) && this.range.isPicking()) this.range.pick(this.stage, index);
    else {
      this.range.start(this.stage, index);
      this.open(this.ids[index]);
    }
  }

  onKey(event) {
    const { key, shiftKey } = event;
    const to = this.goal(key);
    if (to !== null && shiftKey && this.range.takes(this.stage)) {
      this.range.extend(this.stage, to, this.at);
      this.go(to);
    } else if (to !== null) {
      this.range.start(this.stage, to);
      this.go(to);
    } else if (key === "Enter" || key === " ") {
      if (this.range.takes(this.stage) && this.range.isPicking()) this.range.pick(this.stage, this.at);
      else if (this.range.of(this.stage)) this.range.enter();
      else this.open(this.ids[this.at]);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Where a key leads, null if nowhere. */
  goal(key) {
    const columns = this.grid?.columns ?? 1;
    const isLine = columns === this.states.length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: isLine ? 1 : columns, ArrowUp: isLine ? -1 : -columns, PageDown: 10, PageUp: -10 };
    const last = this.states.length - 1;
    if (key === "Home") return 0;
    if (key === "End") return last;
    return key in steps ? Math.min(last, Math.max(0, this.at + steps[key])) : null;
  }

  go(index) {
    this.at = index;
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
