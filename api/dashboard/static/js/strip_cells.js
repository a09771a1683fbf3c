// How a segment looks: a mark of its own for each state, besides its colour.

import { h } from "./dom.js";
import { describe } from "./states.js";

/** Colours as the theme has them now, by letter. */
export function tonesOf(within, letters) {
  const probe = h("span", { hidden: true });
  within.append(probe);
  const read = (tone) => {
    probe.style.color = `var(--${tone})`;
    return getComputedStyle(probe).color;
  };
  const tones = { text: read("text"), surface: read("surface"), accent: read("accent") };
  for (const [letter, state] of Object.entries(letters)) tones[letter] = read(describe(state).tone);
  probe.remove();
  return tones;
}

export function drawCell(ink, letter, tones, x, y, w, height) {
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
