// Elements from data. Text goes in as text alone, so that a name is never markup.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "use", "path", "line", "g", "text", "rect", "circle", "title"]);

/** An element: h("a", {href, class, on: {click}}, "text", other, null). */
export function h(tag, given = {}, ...children) {
  const node = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  const { on, data, ...attributes } = given;
  for (const [name, value] of Object.entries(attributes)) {
    setAttribute(node, name, value);
  }
  for (const [name, value] of Object.entries(data ?? {})) {
    if (value !== null && value !== undefined) node.dataset[name] = value;
  }
  for (const [name, listener] of Object.entries(on ?? {})) {
    node.addEventListener(name, listener);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** null and false take the attribute away, true sets it empty. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : String(value));
}

export const $ = (selector, within = document) => within.querySelector(selector);
export const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

/** Text, if it is another than there is: a screen reader does not hear it twice. */
export function setText(node, text) {
  const wanted = String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function icon(name) {
  return h("svg", { class: "icon", "aria-hidden": "true" }, h("use", { href: `#i-${name}` }));
}

/**
 * Children for items, by key: those that stay are changed in place, so that focus, selection and
 * moving bars outlive an update.
 */
export function keyed(parent, items, keyOf, make, change) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let node = known.get(key);
    if (!node) {
      node = make(item);
      node.dataset.key = key;
    }
    known.delete(key);
    change(node, item);
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  for (const gone of known.values()) gone.remove();
}

/** Said to screen readers alone. */
export function say(text) {
  const place = $("#said");
  if (place) place.textContent = text;
}

/** Shown for a moment. */
export function toast(text, tone = "ok") {
  const node = h("div", { class: "toast", data: { tone }, role: tone === "fail" ? "alert" : "status" }, text);
  $("#toasts").append(node);
  setTimeout(() => node.remove(), tone === "fail" ? 9000 : 4000);
}

/** A question with a way back; whether it was answered with yes. */
export function ask(title, text, yes) {
  const dialog = $("#ask");
  setText($("#ask-title"), title);
  setText($("#ask-text"), text);
  setText($("#ask-yes"), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
