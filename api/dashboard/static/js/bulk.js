// Rows that are selected, and what can be done to all of them at once.

import { post } from "./api.js";
import { $, $$, ask, setAttribute, setText, toast } from "./dom.js";

const DONE = { pause: "paused", resume: "resumed", retry: "being tried again", cancel: "canceled", priority: "ranked" };

/** after: called once something was changed. */
export function startBulk(after) {
  const chosen = new Set();
  const bulk = $("#bulk");

  function show() {
    for (const row of $$("#rows > tr")) {
      const isChosen = chosen.has(row.dataset.key);
      row.querySelector("input").checked = isChosen;
      setAttribute(row, "data-selected", isChosen);
    }
    const rows = $$("#rows > tr").length;
    $("#all").checked = rows > 0 && chosen.size === rows;
    $("#all").indeterminate = chosen.size > 0 && chosen.size < rows;
    if (!bulk) return;
    bulk.hidden = chosen.size === 0;
    setText($("#selected"), `${chosen.size} selected`);
  }

  async function act(action) {
    const ids = [...chosen];
    if (action === "cancel" && !(await ask(`Cancel ${jobs(ids.length)}?`, "What runs stops at once. A canceled job cannot be resumed.", "Cancel them"))) return;
    const body = { action, ids };
    if (action === "priority") body.priority = Number($("#rank").value);
    try {
      const answer = await post("/v2/generations/actions", body);
      report(answer, action);
    } catch (error) {
      toast(error.message, "fail");
    }
    after();
  }

  function report(answer, action) {
    if (answer.succeeded) toast(`${jobs(answer.succeeded)} ${DONE[action]}`);
    const refused = answer.results.filter((result) => !result.ok);
    if (refused.length) toast(`${jobs(refused.length)} could not be: ${refused[0].message}`, "fail");
    for (const result of answer.results) if (result.ok) chosen.delete(result.id);
    show();
  }

  $("#all").addEventListener("change", (event) => {
    chosen.clear();
    if (event.target.checked) for (const row of $$("#rows > tr")) chosen.add(row.dataset.key);
    show();
  });
  for (const button of $$("[data-action]", bulk ?? document.createElement("div"))) {
    button.addEventListener("click", () => act(button.dataset.action));
  }
  $("#unselect")?.addEventListener("click", () => {
    chosen.clear();
    show();
  });

  return {
    choose(id, isChosen) {
      if (isChosen) chosen.add(id);
      else chosen.delete(id);
      show();
    },
    /** What is no longer on the page is no longer selected: nobody changes what nobody sees. */
    keep(ids) {
      const there = new Set(ids);
      for (const id of chosen) if (!there.has(id)) chosen.delete(id);
      show();
    },
  };
}

const jobs = (number) => `${number} ${number === 1 ? "job" : "jobs"}`;
