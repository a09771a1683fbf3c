// What can be done to a job as it stands now.

import { post } from "./api.js";
import { ask, h, toast } from "./dom.js";
import { nameOf } from "./job_row.js";
import { stateOf } from "./states.js";

export function showActions(place, address, job, after) {
  const now = `${stateOf(job)} ${job.priority}`;
  // Anew only when something else can be done: a button does not vanish under a finger.
  if (place.dataset.now === now) return;
  place.dataset.now = now;
  place.replaceChildren(...buttons(address, job, after));
}

function buttons(address, job, after) {
  const isLive = !job.finishedAt;
  const act = async (action, done, body = undefined) => {
    try {
      await post(`${address}/${action}`, body);
      toast(done);
    } catch (error) {
      toast(`${error.message} ${error.suggestion ?? ""}`, "fail");
    }
    after();
  };
  const made = [];
  if (isLive) {
    made.push(...priority(job, (rank) => act("priority", `Priority is ${rank}`, { priority: rank })));
    if (job.desired === "pause") made.push(button("Resume", () => act("resume", "Resumed")));
    else made.push(button("Pause", () => act("pause", "Paused: what runs is given back")));
  }
  if (job.state === "failed" || job.attention) made.push(button("Retry what failed", () => act("retry", "Trying again")));
  if (isLive) {
    const cancel = async () => {
      if (await ask(`Cancel ${nameOf(job)}?`, "What runs stops at once. A canceled job cannot be resumed.", "Cancel it")) await act("cancel", "Canceled");
    };
    made.push(button("Cancel", cancel, "danger"));
  }
  return made;
}

const button = (word, click, kind = "") => h("button", { type: "button", class: kind, on: { click } }, word);

function priority(job, set) {
  const field = h("input", { id: "job-priority", type: "number", min: -1000, max: 1000, value: job.priority });
  field.style.width = "5.5rem";
  return [h("label", { for: "job-priority", class: "visually-hidden" }, "Priority"), field, button("Set priority", () => set(Number(field.value)))];
}
