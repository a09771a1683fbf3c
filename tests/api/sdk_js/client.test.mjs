// The JavaScript client existing users have, unmodified, against the farm at LIPFARM_URL.

import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { test } from "node:test";

import sdk from "@sync.so/sdk";

const { Sync, SyncClient, SyncError } = sdk;
const { LIPFARM_URL, LIPFARM_API_KEY, FILM, DIALOGUE } = process.env;

const client = new SyncClient({ baseUrl: LIPFARM_URL, apiKey: LIPFARM_API_KEY });
const film = { type: "video", url: "https://media.example/film.mp4" };
const dialogue = { type: "audio", url: "https://media.example/dialogue.wav" };

const line = (id, fields = {}) =>
  JSON.stringify({
    request_id: id,
    endpoint: "/v2/generate",
    payload: { model: "draft", input: [film, dialogue] },
    ...fields,
  });
const file = (...lines) => new File([lines.join("\n")], "batch.jsonl");

async function ask(method, path) {
  const answer = await fetch(LIPFARM_URL + path, {
    method,
    headers: { "x-api-key": LIPFARM_API_KEY },
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
}

test("create by URL, get and list", async () => {
  const made = await client.generations.create({
    model: "lipsync-2",
    input: [film, dialogue],
    options: {
      sync_mode: "cut_off",
      temperature: 0.5,
      active_speaker_detection: { auto_detect: true },
    },
    webhookUrl: "https://hooks.example/ended",
    outputFileName: "dub",
  });
  assert.equal(made.status, "PENDING");
  assert.equal(made.options.sync_mode, "cut_off");
  assert.equal(made.webhookUrl, "https://hooks.example/ended");
  assert.deepEqual(await client.generations.get(made.id), made);
  const listed = await client.generations.list({ status: ["PENDING", "PROCESSING"] });
  assert.ok(listed.some((each) => each.id === made.id));
  const [named] = await client.generations.list({ ids: [made.id] });
  assert.equal(named.id, made.id);
  assert.deepEqual(await client.generations.list({ status: "COMPLETED" }), []);
});

test("create with files, and their assets", async () => {
  const made = await client.generations.createWithFiles(
    createReadStream(FILM),
    createReadStream(DIALOGUE),
    { model: "draft", options: { sync_mode: "loop" } },
  );
  assert.equal(made.status, "PENDING");
  assert.equal(made.options.sync_mode, "loop");
  const asset = await client.assets.get(made.input[0].assetId);
  assert.equal(asset.type, "VIDEO");
  const page = await client.assets.list({ limit: 100, types: ["VIDEO", "AUDIO"] });
  assert.ok(page.items.some((each) => each.id === asset.id));
  const [cost] = await client.generations.estimateCost({ model: "draft", input: made.input });
  assert.ok(cost.estimatedFrameCount > 0);
  assert.equal(cost.estimatedGenerationCost, 0);
});

test("create with files beside inputs by URL", async () => {
  const blob = new File(["samples"], "dialogue.wav");
  const made = await client.generations.createWithFiles(undefined, blob, {
    model: "draft",
    input: [film],
  });
  assert.deepEqual(
    made.input.map((each) => each.type),
    ["video", "audio"],
  );
});

test("create with segments", async () => {
  const segments = [
    { startTime: 0, endTime: 2.5, audioInput: { refId: "one" } },
    { startTime: 4, endTime: 6, audioInput: { refId: "two", startTime: 1, endTime: 3 } },
  ];
  const made = await client.generations.create({
    model: "draft",
    input: [film, { ...dialogue, refId: "one" }, { ...dialogue, refId: "two" }],
    segments,
  });
  assert.equal(made.status, "PENDING");
  assert.equal(made.segments[1].audioInput.refId, "two");
  assert.equal(made.segments[1].audioInput.endTime, 3);
});

test("an end is seen by who waits, and what is deleted is gone", async () => {
  const made = await client.generations.create({ model: "draft", input: [film, dialogue] });
  await ask("POST", `/v2/generate/${made.id}/cancel`);
  let seen = await client.generations.get(made.id);
  while (!["COMPLETED", "FAILED", "REJECTED"].includes(seen.status)) {
    seen = await client.generations.get(made.id);
  }
  assert.equal(seen.error_code, "generation_canceled");
  await ask("DELETE", `/v2/generate/${made.id}`);
  await assert.rejects(client.generations.get(made.id), (error) => error.statusCode === 404);
});

test("batches are created, got and listed", async () => {
  const since = new Date(Date.now() - 3_600_000).toISOString();
  const batch = await client.batch.create(file(line("a"), line("b")), {
    webhook_url: "https://hooks.example/batch",
  });
  assert.equal(batch.status, "JOBS_CREATED");
  assert.equal(batch.webhookUrl, "https://hooks.example/batch");
  assert.deepEqual(batch.metrics, {
    total_generations: 2,
    success_count: 0,
    failed_count: 0,
    pending_count: 2,
  });
  assert.equal((await client.batch.get(batch.id)).created_at, batch.created_at);
  const listed = await client.batch.list({ status: "JOBS_CREATED", created_after: since });
  assert.ok(listed.some((each) => each.id === batch.id));
  assert.deepEqual(await client.batch.list({ created_before: since }), []);
});

test("a dry run validates alone", async () => {
  const before = (await client.batch.list()).length;
  const found = await client.batch.create(file(line("a")), { dry_run: true });
  assert.equal(found.status, "VALIDATED");
  assert.equal((await client.batch.list()).length, before);
});

test("the networks on offer", async () => {
  const found = await client.models.list();
  assert.deepEqual(found.map((each) => each.id).sort(), ["auto", "draft", "wav2lip"]);
});

test("errors are the ones it knows", async () => {
  await assert.rejects(
    client.batch.create(file(line("a"), line("a")), {}),
    (error) =>
      error instanceof Sync.BadRequestError &&
      error.body.error_code === "batch_duplicate_request_id" &&
      error.body.statusCode === 400,
  );
  await assert.rejects(
    client.generations.create({ model: "draft", input: [film] }),
    (error) => error instanceof Sync.BadRequestError && /dialogue/.test(error.body.message),
  );
  await assert.rejects(
    client.batch.get(crypto.randomUUID()),
    (error) => error instanceof Sync.NotFoundError,
  );
  const stranger = new SyncClient({ baseUrl: LIPFARM_URL, apiKey: "wrong" });
  await assert.rejects(
    stranger.generations.list(),
    (error) => error instanceof SyncError && error.statusCode === 401,
  );
});
