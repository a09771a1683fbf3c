// What was sent to whom, whether it arrived, and sending it again.

import { get, post } from "./api.js";
import { $, h, keyed, setText, toast } from "./dom.js";
import { age, moment, setAge, since, roughly } from "./format.js";
import { Live } from "./live.js";
import { isAdmin, maySubmit, startShell } from "./shell.js";
import { badge, setBadge } from "./states.js";

const SHOWS = { "": "All", pending: "Pending", delivered: "Delivered", failed: "Failed" };

let next = null;

const asked = (name) => new URLSearchParams(location.search).get(name) ?? "";

async function refresh() {
  const query = new URLSearchParams({ limit: 50 });
  for (const name of ["state", "cursor"]) if (asked(name)) query.set(name, asked(name));
  const [{ data }, endpoints] = await Promise.all([get(`/v2/webhooks/deliveries?${query}`), isAdmin ? get("/v2/webhooks/endpoints") : null]);
  next = data.nextCursor;
  keyed($("#rows"), data.items, (message) => message.id, make, show);
  $("#empty").hidden = data.items.length > 0;
  $("#older").hidden = next === null;
  $("#first").hidden = !asked("cursor");
  if (endpoints) showEndpoints(endpoints.data);
}

const make = (message) =>
  h(
    "tr",
    {},
    h("td", { data: { head: "Event" } }, h("button", { type: "button", class: "quiet", data: { rowLink: "" }, on: { click: () => open(message.id) } }, message.event)),
    h("td", { data: { head: "State" } }, badge("pending")),
    h("td", { class: "wrap", data: { head: "Address" } }, message.url),
    h("td", { class: "number", data: { head: "Tries" } }),
    h("td", { class: "wrap", data: { head: "Last answer" } }),
    h("td", { class: "number nowrap", data: { head: "Age" } }, age(message.createdAt)),
    h("td", {}, maySubmit ? h("button", { type: "button", on: { click: () => replay(message.id) } }, "Replay") : null),
  );

function show(row, message) {
  const [, state, , tries, last, created] = row.children;
  setBadge(state.firstElementChild, message.state);
  setText(tries, message.attempts);
  const wait = message.nextAttemptAt && message.attempts ? `next try in ${roughly(-since(message.nextAttemptAt))}` : "";
  setText(last, [message.lastStatus, message.lastError, wait].filter(Boolean).join(" · ") || "–");
  setAge(created.firstElementChild, message.createdAt);
}

async function replay(id) {
  try {
    await post(`/v2/webhooks/deliveries/${id}/replay`);
    toast("It is sent again");
  } catch (error) {
    toast(error.message, "fail");
  }
  live.now();
}

async function open(id) {
  try {
    const { data } = await get(`/v2/webhooks/deliveries/${id}`);
    setText($("#message-title"), data.event);
    const heads = ["Try", "When", "Answer", "Took"];
    const tries = data.attemptList.map((each) => [each.number, moment(each.at), each.status ?? each.error ?? "–", each.milliseconds === null ? "–" : `${each.milliseconds} ms`]);
    $("#message-body").replaceChildren(
      h("p", { class: "mono digest" }, data.url),
      h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, tries.map((row) => h("tr", {}, row.map((value) => h("td", {}, String(value)))))))),
      h("h3", {}, "What it says"),
      h("pre", { tabindex: 0 }, JSON.stringify(data.payload, null, 2)),
    );
    $("#message").showModal();
  } catch (error) {
    toast(error.message, "fail");
  }
}

function showEndpoints(list) {
  const now = JSON.stringify(list);
  const place = $("#endpoints");
  if (place.dataset.now === now) return;
  place.dataset.now = now;
  if (!list.length) return place.replaceChildren(h("p", { class: "muted" }, "None. Jobs with a webhookUrl of their own are told there."));
  place.replaceChildren(h("table", { class: "stack" }, h("tbody", {}, list.map((each) => h("tr", {}, h("td", { class: "wrap" }, each.url), h("td", { class: "wrap" }, each.events.join(", ") || "ends of jobs and batches"), h("td", {}, h("button", { type: "button", on: { click: () => tryIt(each.id) } }, "Send a test")))))));
}

async function tryIt(id) {
  try {
    await post("/v2/webhooks/test", { endpointId: id });
    toast("A test message is on its way");
  } catch (error) {
    toast(error.message, "fail");
  }
  live.now();
}

function go(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  history.pushState(null, "", query.size ? `?${query}` : location.pathname);
  showChips();
  live.now();
}

function showChips() {
  for (const chip of $("#shows").children) chip.setAttribute("aria-pressed", String(chip.dataset.show === asked("state")));
}

for (const [show, word] of Object.entries(SHOWS)) {
  $("#shows").append(h("button", { type: "button", class: "chip", data: { show }, on: { click: () => go({ state: show, cursor: "" }) } }, word));
}
$("#older").addEventListener("click", () => go({ cursor: next }));
$("#first").addEventListener("click", () => go({ cursor: "" }));
window.addEventListener("popstate", () => {
  showChips();
  live.now();
});
startShell();
showChips();
const live = new Live({ refresh, every: 8 }).start();
