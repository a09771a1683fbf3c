// The JavaScript client, unmodified, against a farm with workers: to the end of a film and a batch.

import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import sdk from "@sync.so/sdk";

const { LIPFARM_URL, LIPFARM_API_KEY, FILM, DIALOGUE } = process.env;
const client = new sdk.SyncClient({ baseUrl: LIPFARM_URL, apiKey: LIPFARM_API_KEY });
const options = { sync_mode: "cut_off", segment_seconds: 1 };

async function ended(get) {
  for (;;) {
    const found = await get();
    if (["COMPLETED", "FAILED", "REJECTED"].includes(found.status)) {
      assert.equal(found.status, "COMPLETED", JSON.stringify(found));
      return found;
    }
    await sleep(200);
  }
}

async function content(url) {
  const answer = await fetch(url);
  assert.ok(answer.ok, String(answer.status));
  return Buffer.from(await answer.arrayBuffer());
}

test("a film and a batch are dubbed", async () => {
  const made = await client.generations.createWithFiles(
    createReadStream(FILM),
    createReadStream(DIALOGUE),
    { model: "draft", options },
  );
  const done = await ended(() => client.generations.get(made.id));
  assert.ok(Math.abs(done.outputDuration - 3) < 0.2);
  assert.equal((await content(done.outputUrl)).toString("latin1", 4, 8), "ftyp");
  const line = {
    request_id: "again",
    endpoint: "/v2/generate",
    payload: { model: "draft", input: made.input, options },
  };
  const file = new File([JSON.stringify(line)], "batch.jsonl");
  const batch = await client.batch.create(file, {});
  const closed = await ended(() => client.batch.get(batch.id));
  const [result] = (await content(closed.outputUrl)).toString().trim().split("\n").map(JSON.parse);
  assert.equal(result.status, "COMPLETED");
  assert.equal((await content(result.output_url)).toString("latin1", 4, 8), "ftyp");
});
