// Times, lengths and amounts as people read them.

import { now } from "./api.js";
import { h, setText } from "./dom.js";

/** Seconds as 45 s, 3 m 20 s, 2 h 05 m, 3 d 4 h. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} m`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** The same with one unit, for columns. */
export function roughly(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 5400) return `${Math.round(whole / 60)} m`;
  if (whole < 129600) return `${Math.round(whole / 3600)} h`;
  return `${Math.round(whole / 86400)} d`;
}

/** Where in a film: 00:01:04. */
export function timecode(seconds) {
  const whole = Math.floor(seconds);
  return [whole / 3600, (whole % 3600) / 60, whole % 60].map((part) => two(Math.floor(part))).join(":");
}

const two = (number) => String(number).padStart(2, "0");

export const since = (iso) => (now() - Date.parse(iso)) / 1000;

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const momentFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

export const clock = (iso) => (iso ? clockFormat.format(new Date(iso)) : "–");
export const moment = (iso) => (iso ? momentFormat.format(new Date(iso)) : "–");

const moneyFormat = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** In the farm's own money, whatever it is; null where it was told no price. */
export function cost(amount) {
  if (amount === null || amount === undefined) return null;
  return amount > 0 && amount < 0.01 ? "< 0.01" : moneyFormat.format(amount);
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

export function bytes(count) {
  if (count === null || count === undefined) return "–";
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 && unit ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

const countFormat = new Intl.NumberFormat("en", { useGrouping: true, maximumFractionDigits: 0 });

export const count = (number) =>
  number === null || number === undefined ? "–" : countFormat.format(number).replaceAll(",", "\u202f");

/** Parts of a whole: 100 % only when nothing is left. */
export function percent(fraction) {
  if (fraction >= 1) return "100 %";
  return `${Math.min(99, Math.floor(fraction * 100))} %`;
}

export const frameRate = (number) => (number === null || number === undefined ? "–" : `${number >= 100 ? Math.round(number) : number.toFixed(1)} fps`);

export const shortId = (id) => id.slice(0, 8);

/** How long ago, going on by itself every second; the exact time on hover. */
export function age(iso, format = roughly) {
  const node = h("time", { datetime: iso ?? "", title: moment(iso) });
  node.dataset.age = format === duration ? "exact" : "rough";
  showAge(node);
  return node;
}

export function setAge(node, iso) {
  if (node.getAttribute("datetime") === (iso ?? "")) return;
  node.setAttribute("datetime", iso ?? "");
  node.title = moment(iso);
  showAge(node);
}

export function showAge(node) {
  const iso = node.getAttribute("datetime");
  const format = node.dataset.age === "exact" ? duration : roughly;
  setText(node, iso ? format(since(iso)) : "–");
}
