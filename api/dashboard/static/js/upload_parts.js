// A file into the bucket, part by part. A part that did not arrive is sent again, for as long as the
// page is open; what has arrived stays there, so that the same file goes on after a reload, too.

import { Refused, get, post } from "./api.js";

const AT_ONCE = 3;
const WAIT_SECONDS = [1, 2, 4, 8, 15, 30];
const SILENT_SECONDS = 60; // a connection may die without a word
const DOUBTFUL = 3; // failures in a row after which the bucket may be out of reach for good

/** Somebody pressed Stop. */
export class Stopped extends Error {}

/** The farm answers, its bucket does not: not to this browser. */
export class Unreachable extends Error {}

/** A part that did not arrive; status is 0 where nobody answered. */
class Failed extends Error {
  constructor(status) {
    super(`the bucket answered ${status}`);
    this.status = status;
  }
}

/**
 * The id of the asset a file becomes.
 * kind: video, audio or image.
 * told: called with the bytes that are there and on their way, and those that were there before.
 * waits: called with what is waited for, null when it goes on.
 */
export async function uploadInParts(file, kind, { told, waits, signal }) {
  return new Upload(file, kind, { told, waits, signal }).run();
}

/** What a request to the farm answers, asked again while nobody does. */
export async function patiently(ask, { waits, signal }) {
  for (let tries = 0; ; tries += 1) {
    try {
      const answer = await ask();
      waits(null);
      return answer;
    } catch (error) {
      const isPassing = error instanceof TypeError || (error instanceof Refused && (error.status >= 500 || error.status === 429));
      if (!isPassing) throw error;
      waits("The farm does not answer.");
      await pause(tries, signal);
    }
  }
}

class Upload {
  constructor(file, kind, { told, waits, signal }) {
    Object.assign(this, { file, kind, told, waits });
    this.abort = new AbortController();
    this.signal = this.abort.signal;
    if (signal.aborted) this.abort.abort();
    signal.addEventListener("abort", () => this.abort.abort(), { once: true });
    this.onWay = new Map(); // part → bytes of it
    this.broken = new Set(); // parts that wait for another try
    this.isReached = false;
  }

  async run() {
    try {
      let state = await this.begin();
      this.id = state.id;
      this.before = state.receivedBytes;
      while (state.missing.length) {
        this.arrived = state.receivedBytes;
        this.tell();
        await this.sendAll(state.missing);
        state = await this.look(state.id);
      }
      return (await this.ask(() => post(`/v2/assets/uploads/${state.id}/complete`))).id;
    } catch (error) {
      this.abort.abort(); // the other parts, too
      throw error;
    }
  }

  ask(request) {
    return patiently(request, { waits: this.waits, signal: this.signal });
  }

  async look(id) {
    return (await this.ask(() => get(`/v2/assets/uploads/${id}`))).data;
  }

  /** The upload of this file that is under way, or a new one. */
  async begin() {
    const { name, size, lastModified } = this.file;
    const fingerprint = `${this.kind}-${size}-${lastModified}-${encodeURIComponent(name).slice(-80)}`;
    const known = await this.ask(() => get(`/v2/assets/uploads?${new URLSearchParams({ fingerprint })}`));
    for (const upload of known.data.items.filter((each) => each.size === size)) {
      try {
        return await this.look(upload.id);
      } catch (error) {
        if (!(error instanceof Refused) || error.status !== 404) throw error; // given up meanwhile
      }
    }
    return this.ask(() => post("/v2/assets/uploads", { name, size, type: this.kind, fingerprint }));
  }

  async sendAll(parts) {
    const queue = [...parts];
    const work = async () => {
      for (let part = queue.shift(); part; part = queue.shift()) await this.sendPart(part);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  async sendPart(part) {
    for (let tries = 0; ; tries += 1) {
      try {
        await this.put(part);
        this.note(part, false);
        return;
      } catch (error) {
        this.onWay.delete(part.number);
        this.tell();
        if (!(error instanceof Failed)) throw error;
        await this.consider(error.status, tries);
        if (error.status === 403) part.url = await this.newUrl(part);
      }
      this.note(part, true);
      await pause(tries, this.signal);
    }
  }

  note(part, isBroken) {
    if (isBroken) this.broken.add(part.number);
    else this.broken.delete(part.number);
    this.waits(this.broken.size ? "The connection broke; what has arrived is kept." : null);
  }

  /** Whether it makes sense to try again; throws if not. */
  async consider(status, tries) {
    if (status >= 400 && status < 500 && ![403, 408, 429].includes(status)) throw new Refused(status, {});
    if (status === 403 && tries >= DOUBTFUL) throw new Refused(status, { message: "The bucket does not take the file." });
    if (status !== 0) return;
    await this.file.slice(0, 1).arrayBuffer().catch(() => {
      throw new Refused(0, { message: `${this.file.name} cannot be read any more.` });
    });
    if (this.isReached || tries < DOUBTFUL) return;
    try {
      await get("/v2/models");
    } catch {
      return; // nothing is reached: it is the connection
    }
    throw new Unreachable();
  }

  /** Addresses work for some hours. */
  async newUrl(part) {
    const { data } = await this.ask(() => get(`/v2/assets/uploads/${this.id}?from=${part.number}&limit=1`));
    return data.missing.find((each) => each.number === part.number)?.url ?? part.url;
  }

  put(part) {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    let watch = null;
    let isSilent = false;
    const alive = () => {
      clearTimeout(watch);
      watch = setTimeout(() => {
        isSilent = true;
        request.abort();
      }, 1000 * SILENT_SECONDS);
    };
    return new Promise((resolve, reject) => {
      if (this.signal.aborted) return reject(new Stopped());
      this.signal.addEventListener("abort", stop);
      request.upload.addEventListener("progress", ({ loaded }) => {
        alive();
        this.onWay.set(part.number, loaded);
        this.tell();
      });
      request.addEventListener("load", () => {
        this.isReached = true;
        if (request.status >= 300) return reject(new Failed(request.status));
        this.onWay.delete(part.number);
        this.arrived += part.end - part.start;
        this.tell();
        resolve();
      });
      request.addEventListener("error", () => reject(new Failed(0)));
      request.addEventListener("abort", () => reject(isSilent ? new Failed(0) : new Stopped()));
      request.open("PUT", part.url);
      alive();
      request.send(this.file.slice(part.start, part.end));
    }).finally(() => {
      clearTimeout(watch);
      this.signal.removeEventListener("abort", stop);
    });
  }

  tell() {
    const flying = [...this.onWay.values()].reduce((sum, loaded) => sum + loaded, 0);
    this.told(Math.min(this.file.size, this.arrived + flying), this.before);
  }
}

/** A while, or until the connection is back. */
function pause(tries, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, 1000 * WAIT_SECONDS[Math.min(tries, WAIT_SECONDS.length - 1)]);
    function done() {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      if (signal.aborted) reject(new Stopped());
      else resolve();
    }
    window.addEventListener("online", done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
