// What every page has: theme, keys, the way out.

import { $, $$, say } from "./dom.js";

const PAGES = { j: "/dashboard", b: "/dashboard/batches", w: "/dashboard/workers", f: "/dashboard/farm" };

export const main = $("#main");
export const maySubmit = main.dataset.maySubmit === "yes";
export const isAdmin = main.dataset.isAdmin === "yes";
export const subject = main.dataset.subject;

let isGoing = false;

export function startShell() {
  $("#theme").addEventListener("click", changeTheme);
  $("#help").addEventListener("click", () => $("#help-dialog").showModal());
  document.addEventListener("keydown", onKey);
}

function changeTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("lipfarm-theme", root.dataset.theme);
  } catch {
    // Then for this page alone.
  }
  say(`${root.dataset.theme} theme`);
  document.dispatchEvent(new CustomEvent("theme"));
}

export const isTyping = (target) => target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if ($("dialog[open]")) return;
  const wasGoing = isGoing;
  isGoing = false;
  if (wasGoing && PAGES[event.key]) return location.assign(PAGES[event.key]);
  const act = KEYS[event.key];
  if (!act) return;
  if (act(event) !== false) event.preventDefault();
}

const KEYS = {
  "?": () => $("#help-dialog").showModal(),
  g: () => {
    isGoing = true;
  },
  n: () => maySubmit && location.assign("/dashboard/submit"),
  "/": () => {
    const search = $("input[type=search]");
    if (!search) return false;
    search.focus();
    search.select();
  },
  j: () => step(1),
  k: () => step(-1),
  x: (event) => {
    const box = event.target.closest?.("tr")?.querySelector("input[type=checkbox]");
    if (!box) return false;
    box.click();
  },
};

/** To the row before or after the one with the focus. */
function step(by) {
  const links = $$("[data-row-link]");
  if (!links.length) return false;
  const row = document.activeElement.closest?.("tr");
  const at = links.findIndex((link) => row?.contains(link));
  const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by))];
  next.focus();
  next.closest("tr").scrollIntoView({ block: "nearest" });
}
