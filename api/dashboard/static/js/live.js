// Keeps a page true: hears events, asks again, and says how old it is what one sees.
//
// Events say *when* to ask; what is shown is always an answer of /v2. A page that is hidden keeps
// neither a stream nor a timer: browsers allow few connections to one host, and nobody looks.

import { Refused, leave } from "./api.js";
import { $, setText } from "./dom.js";
import { clock, duration, showAge } from "./format.js";

const POLL_SECONDS = 6; // without a stream
const LISTENING_SECONDS = 20; // with one: for what no event tells
const GATHER_SECONDS = 1; // events come in crowds
const LEAST_SECONDS = 3; // between two answers to events
const STALE_SECONDS = 30;
const SILENT_SECONDS = 40; // the server sends something every 15
const RECONNECT_SECONDS = [1, 3, 8, 15, 30];

export class Live {
  /**
   * refresh: asks and shows; its failure makes the page stale.
   * stream: the address of the events, null to poll.
   * heard: called with (kind, event); true where nothing is to be asked because of it.
   * every: seconds between two questions without a stream.
   */
  constructor({ refresh, stream = null, heard = () => false, every = POLL_SECONDS }) {
    Object.assign(this, { refresh, stream, heard, every });
    this.updatedAt = null;
    this.failure = null;
    this.isListening = false;
    this.tries = 0;
    this.askedAt = 0;
    this.lastId = null;
    this.isAsking = false;
    this.isWanted = false;
  }

  start() {
    document.addEventListener("visibilitychange", () => this.look());
    window.addEventListener("online", () => this.now());
    window.addEventListener("pagehide", () => this.hush());
    setInterval(() => this.tick(), 1000);
    this.look();
    return this;
  }

  look() {
    if (document.hidden) {
      clearTimeout(this.timer);
      clearTimeout(this.again);
      this.hush();
    } else {
      this.now();
      this.listen();
    }
  }

  /** Ask at once. */
  async now() {
    if (this.isAsking) {
      this.isWanted = true;
      return;
    }
    clearTimeout(this.timer);
    this.isAsking = true;
    this.isWanted = false;
    this.askedAt = Date.now();
    try {
      await this.refresh();
      this.updatedAt = Date.now();
      this.failure = null;
    } catch (error) {
      if (!(error instanceof Refused) && !(error instanceof TypeError)) console.error(error);
      this.failure = error;
    } finally {
      this.isAsking = false;
    }
    this.tick();
    if (document.hidden) return;
    const seconds = this.isWanted ? LEAST_SECONDS : this.isListening && !this.failure ? LISTENING_SECONDS : this.every;
    this.timer = setTimeout(() => this.now(), 1000 * seconds * (0.9 + 0.2 * Math.random()));
  }

  /** Ask soon, once for all that happens until then. */
  soon() {
    if (this.isAsking) {
      this.isWanted = true;
      return;
    }
    const since = (Date.now() - this.askedAt) / 1000;
    const wait = Math.max(GATHER_SECONDS, LEAST_SECONDS - since) + 0.5 * Math.random();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), 1000 * wait);
  }

  hush() {
    this.abort?.abort();
    this.abort = null;
    this.isListening = false;
  }

  async listen() {
    if (!this.stream || this.abort) return;
    const abort = (this.abort = new AbortController());
    try {
      const headers = { accept: "text/event-stream" };
      if (this.lastId) headers["last-event-id"] = this.lastId;
      const answer = await fetch(this.stream, { headers, signal: abort.signal, cache: "no-store" });
      if (answer.status === 401) return leave();
      if (!answer.ok) throw new Error(`the stream answered ${answer.status}`);
      await this.read(answer.body.getReader(), abort);
    } catch {
      // Asking goes on without it.
    }
    if (this.abort !== abort) return;
    this.hush();
    if (document.hidden) return;
    const wait = RECONNECT_SECONDS[Math.min(this.tries, RECONNECT_SECONDS.length - 1)];
    this.tries += 1;
    this.soon();
    this.again = setTimeout(() => this.listen(), 1000 * wait * (0.8 + 0.4 * Math.random()));
  }

  async read(reader, abort) {
    const decoder = new TextDecoder();
    let text = "";
    let watch = null;
    for (;;) {
      clearTimeout(watch);
      watch = setTimeout(() => abort.abort(), 1000 * SILENT_SECONDS);
      const { value, done } = await reader.read().finally(() => clearTimeout(watch));
      if (done) return;
      if (!this.isListening) this.join();
      text += decoder.decode(value, { stream: true });
      const frames = text.split("\n\n");
      text = frames.pop();
      for (const frame of frames) this.hear(frame);
    }
  }

  /** The stream's first bytes: from now on nothing is missed, but what was asked before may be. */
  join() {
    this.tries = 0;
    this.isListening = true;
    if (!this.lastId) this.soon();
  }

  hear(frame) {
    const fields = {};
    for (const line of frame.split("\n")) {
      const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
      if (name) fields[name] = value;
    }
    if (fields.id) this.lastId = fields.id;
    if (!fields.data) return;
    if (!this.heard(fields.event, JSON.parse(fields.data))) this.soon();
  }

  /** Every second: how old is what one sees. */
  tick() {
    document.querySelectorAll("[data-age]").forEach(showAge);
    const old = this.updatedAt === null ? null : (Date.now() - this.updatedAt) / 1000;
    const isStale = this.failure !== null || (old !== null && old > Math.max(STALE_SECONDS, 2 * this.every));
    const state = isStale ? (this.failure ? "lost" : "stale") : old === null ? "new" : this.isListening ? "live" : "polling";
    $("#freshness").dataset.state = state;
    const words = { new: "Loading", live: "Live", polling: `Updated ${duration(old)} ago`, stale: `Stale: ${duration(old)} old`, lost: "Not connected" };
    setText($("#freshness-text"), words[state]);
    this.warn(isStale, old);
  }

  warn(isStale, old) {
    const banner = $("#banner");
    document.body.toggleAttribute("data-stale", isStale);
    banner.hidden = !isStale;
    if (!isStale) return;
    const why = this.failure instanceof Refused ? this.failure.message : "The farm does not answer.";
    const what = old === null ? "There is nothing to show yet." : `What you see is from ${clock(new Date(this.updatedAt).toISOString())}.`;
    setText(banner, `${why} ${what} Trying again.`);
  }
}
