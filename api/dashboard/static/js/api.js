// Requests to /v2 with the cookie of the sign-in. What is known already is not sent again.

const DOOR = "/dashboard/sign-in";
const known = new Map(); // address → {tag, answer}
const MOST_KNOWN = 200;
const DATE_LAGS = 3000; // whole seconds, and written anew once a second, or later where there is much to do

/** How far the server's clock is ahead of ours, in milliseconds. */
let skew = 0;

export const now = () => Date.now() + skew;

/** A request that was refused, with what to do about it. */
export class Refused extends Error {
  constructor(status, body) {
    super(body.message ?? `The server answered ${status}.`);
    this.status = status;
    this.code = body.error_code ?? "";
    this.suggestion = body.suggestion ?? "";
  }
}

/** What is there: {data, cursor, changed}; changed is false where it is the same as before. */
export async function get(address, signal = undefined) {
  const before = known.get(address);
  const headers = { accept: "application/json" };
  if (before) headers["if-none-match"] = before.tag;
  const answer = await timed(address, { headers, signal });
  if (answer.status === 304 && before) return { ...before.answer, changed: false };
  const data = await read(answer);
  const tag = answer.headers.get("etag");
  const found = { data, cursor: answer.headers.get("x-next-cursor") };
  if (tag) remember(address, { tag, answer: found });
  return { ...found, changed: true };
}

/** The same, null where there is no such thing. */
export async function find(address) {
  try {
    return (await get(address)).data;
  } catch (error) {
    if (error instanceof Refused && [404, 409, 425].includes(error.status)) return null;
    throw error;
  }
}

export async function send(method, address, body = undefined, headers = {}) {
  const isForm = body instanceof FormData;
  const answer = await timed(address, {
    method,
    headers: body === undefined || isForm ? headers : { "content-type": "application/json", ...headers },
    body: body === undefined || isForm ? body : JSON.stringify(body),
  });
  return read(answer);
}

export const post = (address, body, headers) => send("POST", address, body, headers);

async function read(answer) {
  if (answer.status === 401) leave();
  const text = await answer.text();
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    body = { message: `The server answered ${answer.status} with something that is no JSON.` };
    if (answer.ok) throw new Refused(answer.status, body);
  }
  if (!answer.ok) throw new Refused(answer.status, body ?? {});
  return body;
}

/** The sign-in has ended: to the door, and back here after it. */
export function leave() {
  const here = location.pathname + location.search;
  location.assign(`${DOOR}?${new URLSearchParams({ next: here })}`);
}

async function timed(address, options) {
  const sent = Date.now();
  const answer = await fetch(address, { ...options, cache: "no-store" });
  noteClock(Date.parse(answer.headers.get("date") ?? ""), sent, Date.now());
  return answer;
}

/** The server dated its answer between the two moments we know: a slow answer is no difference of clocks. */
function noteClock(date, sent, heard) {
  if (Number.isNaN(date)) return;
  skew = Math.max(0, date - heard) + Math.min(0, date + DATE_LAGS - sent);
}

function remember(address, entry) {
  known.delete(address);
  known.set(address, entry);
  if (known.size > MOST_KNOWN) known.delete(known.keys().next().value);
}
