// The project's keys, and the log of what was done with them.

import { get, send } from "./api.js";
import { $, ask, h, keyed, setText, toast } from "./dom.js";
import { age, moment, setAge } from "./format.js";
import { Live } from "./live.js";
import { isAdmin, startShell } from "./shell.js";

let next = null;
let cursor = "";

async function refresh() {
  if (!isAdmin) return;
  const query = new URLSearchParams({ limit: 100 });
  const action = $("#filters").elements.action.value.trim();
  if (action) query.set("action", action);
  if (cursor) query.set("cursor", cursor);
  const [log, keys] = await Promise.all([get(`/v2/audit?${query}`), get("/v2/keys")]);
  next = log.data.nextCursor;
  keyed($("#rows"), log.data.items, (entry) => entry.id, makeEntry, () => {});
  keyed($("#keys"), keys.data, (key) => key.id, makeKey, showKey);
  $("#empty").hidden = log.data.items.length > 0;
  $("#older").hidden = next === null;
  $("#first").hidden = !cursor;
}

const cells = (pairs) => Object.entries(pairs).map(([head, value]) => h("td", { class: "wrap", data: { head } }, value));

function makeEntry(entry) {
  const isJob = entry.objectKind === "generation" && entry.objectId;
  const object = isJob ? h("a", { class: "mono", href: `/dashboard/jobs/${entry.objectId}`, data: { rowLink: "" } }, entry.objectId) : h("span", { class: "mono" }, entry.objectId ?? "–");
  const detail = Object.entries(entry.detail ?? {}).map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
  return h("tr", {}, cells({ When: h("time", { datetime: entry.at }, moment(entry.at)), Who: entry.actor, Did: entry.action, To: object, Details: detail || "–", From: entry.address ?? "–" }));
}

function makeKey(key) {
  const revoke = h("button", { type: "button", class: "danger", on: { click: () => end(key) } }, "Revoke");
  return h("tr", {}, cells({ Name: key.name + (key.isOwn ? " (this one)" : ""), "Begins with": h("code", {}, `${key.prefix}…`), Scope: key.scopes.join(", "), Made: moment(key.createdAt), Expires: "", "Last used": age(key.lastUsedAt) }), h("td", {}, revoke));
}

function showKey(row, key) {
  setText(row.children[4], key.revokedAt ? `revoked ${moment(key.revokedAt)}` : key.expiresAt ? moment(key.expiresAt) : "never");
  setAge(row.children[5].firstElementChild, key.lastUsedAt);
  row.lastElementChild.firstElementChild.hidden = Boolean(key.revokedAt);
}

async function end(key) {
  const own = key.isOwn ? " You are signed in with it, and will be signed out." : "";
  if (!(await ask(`Revoke ${key.name}?`, `Whoever uses it is refused at once.${own}`, "Revoke"))) return;
  try {
    await send("DELETE", `/v2/keys/${key.id}`);
    toast(`${key.name} is revoked`);
  } catch (error) {
    toast(error.message, "fail");
  }
  live.now();
}

function go(to) {
  cursor = to;
  live.now();
}

$("#older")?.addEventListener("click", () => go(next));
$("#first")?.addEventListener("click", () => go(""));
$("#filters")?.addEventListener("input", () => go(""));
$("#filters")?.addEventListener("submit", (event) => event.preventDefault());
startShell();
const live = new Live({ refresh, every: 10 }).start();
