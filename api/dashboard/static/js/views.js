// Saved views: the filters of now under a name, for all of the project.

import { Refused, get, send } from "./api.js";
import { $, ask, h, keyed, say, setAttribute, setText, toast } from "./dom.js";
import { maySubmit } from "./shell.js";

const NAMES = ["show", "q", "label", "language", "batchId"];

/** current: what is set of the filters; open: shows a view. */
export function startViews({ current, open }) {
  const bar = $("#views");
  const dialog = $("#view");
  let views = [];

  const same = (one, other) => NAMES.every((name) => (one[name] ?? "") === (other[name] ?? ""));
  const openView = () => views.find((view) => same(view.filter, current()));

  async function refresh() {
    const found = await get("/v2/views");
    views = found.data;
    show();
  }

  function show() {
    keyed($("#view-list"), views, (view) => view.id, makeLink, showLink);
    const now = openView();
    const isFiltered = Object.keys(current()).length > 0;
    bar.hidden = !views.length && !(isFiltered && maySubmit);
    if (!maySubmit) return;
    $("#view-save").hidden = !isFiltered || now !== undefined;
    $("#view-edit").hidden = now === undefined;
  }

  function makeLink() {
    const link = h("a", { class: "chip" });
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const view = views.find((each) => each.id === link.dataset.key);
      open(view.filter);
      say(`View ${view.name}`);
    });
    return link;
  }

  function showLink(link, view) {
    setText(link, view.name);
    link.href = `/dashboard?${new URLSearchParams(view.filter)}`;
    setAttribute(link, "aria-current", same(view.filter, current()) ? "true" : null);
  }

  function openDialog(view) {
    dialog.dataset.id = view?.id ?? "";
    setText($("#view-title"), view ? "Saved view" : "Save this view");
    $("#view-name").value = view?.name ?? "";
    $("#view-delete").hidden = !view;
    setText($("#view-yes"), view ? "Rename" : "Save");
    refuse("");
    dialog.showModal();
    $("#view-name").select();
  }

  function refuse(text) {
    setText($("#view-refusal"), text);
    $("#view-refusal").hidden = !text;
  }

  /** Done, told, and shown; or told why not. */
  async function change(done, method, address, body) {
    try {
      await send(method, address, body);
      dialog.close();
      toast(done);
    } catch (error) {
      if (!(error instanceof Refused) && !(error instanceof TypeError)) throw error;
      refuse(error instanceof Refused ? `${error.message} ${error.suggestion}` : "The farm does not answer.");
    }
    await refresh().catch(() => {});
  }

  async function submit(event) {
    event.preventDefault();
    const name = $("#view-name").value.trim();
    const { id } = dialog.dataset;
    if (!name) return refuse("It needs a name.");
    if (id) return change(`The view is called ${name}`, "PATCH", `/v2/views/${id}`, { name });
    const other = views.find((view) => view.name === name);
    if (!other) return change(`Saved for all of the project: ${name}`, "POST", "/v2/views", { name, filter: current() });
    if (await ask(`Replace ${name}?`, "All of the project see that view. It will show what you see now.", "Replace it")) {
      await change(`${name} shows this now`, "PATCH", `/v2/views/${other.id}`, { filter: current() });
    }
  }

  async function remove() {
    const view = views.find((each) => each.id === dialog.dataset.id);
    if (!(await ask(`Delete the view ${view.name}?`, "It goes for all of the project. Its jobs stay as they are.", "Delete it"))) return;
    await change(`The view ${view.name} is gone`, "DELETE", `/v2/views/${view.id}`);
    $("#filters input").focus();
  }

  $("#view-save")?.addEventListener("click", () => openDialog(null));
  $("#view-edit")?.addEventListener("click", () => openDialog(openView()));
  $("#view-delete")?.addEventListener("click", remove);
  $("#view-cancel")?.addEventListener("click", () => dialog.close());
  $("#view-form")?.addEventListener("submit", submit);
  return { refresh, show };
}
