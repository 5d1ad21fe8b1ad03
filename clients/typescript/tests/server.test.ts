/** Against the server at TAMIS_ADDRESS. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  CallError,
  type Completed,
  connect,
  field,
  fieldNamed,
  type Hit,
  highlighted,
  type SearchEvent,
  textOf,
} from "tamis-client";

const address = process.env.TAMIS_ADDRESS;
const skip = address === undefined && "TAMIS_ADDRESS is not set";
const client = connect(address ?? "127.0.0.1:1");
const name = `typescript-${process.pid}`;
const updated = new Date("2025-01-02T03:04:05.678Z");
const DOCUMENTS = [
  {
    id: "leave",
    title: "Leave",
    text: "Parental leave is twelve weeks, paid in full. 🎹",
    metadata: { year: 2024, lang: "en", updated },
  },
  {
    id: "travel",
    text: "🚂 Trains are booked by everyone alone, also on leave.",
    metadata: { year: 2019, lang: "en" },
  },
  {
    id: "küche",
    text: "Die Küche ist 🍲 für alle da. Grüße!",
    metadata: { year: 2024, "a.b": [1.5, null, { c: 2n ** 60n }] },
  },
];

const ids = (hits: readonly Hit[]) => hits.map((each) => each.passage.documentId);

if (!skip) {
  before(async () => {
    await client.createCollection(name);
    const written = await client.write(name, DOCUMENTS);
    assert.equal(written.writtenCount, 3);
    await client.waitIndexed(name, written.sequence);
  });
  after(async () => {
    await client.deleteCollection(name);
    client.close();
  });
}

test("a search finds hits with their path, and an answer", { skip }, async () => {
  const result = await client.search(name, "parental leave", { filter: field("year").atLeast(2020), pageSize: 1 });
  assert.deepEqual(ids(result.hits), ["leave"]);
  const [hit] = result.hits;
  assert.ok(hit && typeof hit.score === "number" && hit.scoreKind !== "UNKNOWN");
  assert.deepEqual(hit.passage.metadata, DOCUMENTS[0]?.metadata);
  assert.ok(hit.stageScores.length > 0 && hit.stageScores.every((each) => each.rank === 1));
  assert.ok(result.stageReports.length > 0 && result.stageReports.every((each) => each.outcome === "RAN"));
  assert.ok(highlighted(hit).some((each) => each.isHighlighted));
  assert.equal(result.answer.finishReason, "ANSWERED");
  for (const { documentSpan, answerSpan } of result.answer.citations) {
    assert.equal(textOf(documentSpan, hit.passage.text), textOf(answerSpan, result.answer.text));
  }
  assert.ok(result.answer.citations.length > 0);
});

test("a stream keeps its grammar, and each revision has whole passages", { skip }, async () => {
  const events: SearchEvent[] = [];
  for await (const event of client.streamSearch(name, "leave", { timeoutMs: 5_000 })) events.push(event);
  const revisions = events.flatMap((each) => (each.type === "hitsRevised" ? [each] : []));
  assert.ok(revisions.length > 0);
  revisions.forEach((each, at) => {
    assert.equal(each.revision, at + 1);
    assert.ok(each.hits.every((hit) => hit.passage.text !== ""));
  });
  const completed = events.at(-1) as Completed;
  assert.equal(completed.type, "completed");
  assert.equal(completed.revision, revisions.length);
  assert.equal(events.filter((each) => each.type === "stageCompleted").length, completed.stageReports.length);
  const answer = events.flatMap((each) => (each.type === "answerDelta" ? [each.text] : [])).join("");
  assert.equal(answer, (await client.search(name, "leave")).answer.text);
});

test("filters, sorting, facets and pages reach the server", { skip }, async () => {
  const query = "leave Küche trains";
  const found = async (filter: ReturnType<typeof field.prototype.exists>) =>
    ids((await client.retrieve(name, query, { filter })).hits).sort();
  assert.deepEqual(await found(field("lang").exists().not()), ["küche"]);
  assert.deepEqual(await found(field("year").lessThan(2020).or(fieldNamed("a.b").equals(1.5))), ["küche", "travel"]);
  assert.deepEqual(
    await found(
      field("year")
        .equals(2024)
        .and(field("lang").oneOf(["en"])),
    ),
    ["leave"],
  );
  assert.deepEqual(await found(field("updated").equals(updated)), ["leave"]);
  const sorted = await client.retrieve(name, query, { sortKeys: [field("year").ascending()], facetSpecs: ["year"] });
  assert.equal(ids(sorted.hits)[0], "travel");
  assert.deepEqual(sorted.facets[0]?.counts, [
    { value: 2024, documentCount: 2 },
    { value: 2019, documentCount: 1 },
  ]);
  const paged = [];
  for await (const page of client.pages(name, query, { pageSize: 1 })) paged.push(...ids(page.hits));
  assert.deepEqual(paged.sort(), ["küche", "leave", "travel"]);
});

test("metadata come back as they were written, big integers too", { skip }, async () => {
  assert.deepEqual((await client.document(name, "küche")).metadata, DOCUMENTS[2]?.metadata);
  const listed = [];
  for await (const document of client.documents(name, { pageSize: 2 })) listed.push(document.id);
  assert.deepEqual(listed.sort(), ["küche", "leave", "travel"]);
});

test("passages of one's own are ordered and answered from", { skip }, async () => {
  const passages = [
    { id: "a", text: "Nothing about it." },
    { id: "b", text: "🎹 Pianos have 88 keys." },
  ];
  const ranked = await client.rerank("piano keys", passages, { pipeline: "prior" }).catch((error) => error);
  assert.ok(ranked instanceof CallError ? ranked.code === "INVALID_ARGUMENT" : ranked.hits.length === 2);
  let text = "";
  for await (const event of client.generate("How many keys have pianos?", passages)) {
    if (event.type === "answerDelta") text += event.text;
  }
  assert.match(text, /88 keys/);
});

test("documents are patched and deleted", { skip }, async () => {
  await client.write(name, [{ id: "extra", text: "Something more.", metadata: { old: 1 } }]);
  const patched = await client.patchMetadata(name, [
    { documentId: "extra", metadata: { new: 2 }, removedKeys: ["old"] },
  ]);
  assert.equal(patched.writtenCount, 1);
  assert.deepEqual((await client.document(name, "extra")).metadata, { new: 2 });
  assert.equal((await client.deleteDocuments(name, field("new").equals(2))).deletedCount, 1);
  assert.equal((await client.deleteDocuments(name, ["extra"])).deletedCount, 0);
});

test("many documents are written in batches, from a generator too", { skip }, async () => {
  const many = `${name}-many`;
  await client.createCollection(many);
  async function* documents() {
    for (let number = 0; number < 150; number++) yield { id: String(number), text: "common" };
  }
  const written = await client.write(many, documents(), { batchSize: 64 });
  assert.equal(written.writtenCount, 150);
  assert.equal((await client.collection(many)).documentCount, 150);
  await client.deleteCollection(many);
});

test("errors say why, by their reason", { skip }, async () => {
  const caught = async (call: Promise<unknown>): Promise<CallError> =>
    call.then(
      () => assert.fail("nothing was thrown"),
      (error) => error,
    );
  const missing = await caught(client.document(name, "nobody"));
  assert.ok(missing instanceof CallError);
  assert.equal(missing.code, "NOT_FOUND");
  assert.equal(missing.reason, "NOT_FOUND");
  assert.equal(missing.metadata.name, "nobody");
  const wrong = await caught(client.search(name, "leave", { pageSize: -1 }));
  assert.equal(wrong.reason, "INVALID_REQUEST");
  assert.deepEqual(
    wrong.violations.map((each) => each.field),
    ["page_size"],
  );
  assert.equal((await caught(client.search(name, "leave", { pipeline: "bm25 >>" }))).code, "INVALID_ARGUMENT");
  assert.equal((await caught(client.createCollection(name))).code, "ALREADY_EXISTS");
});

test("an aborted signal ends a call with its own reason", { skip }, async () => {
  const signal = AbortSignal.abort(new Error("enough"));
  await assert.rejects(client.search(name, "leave", { signal }), /enough/);
  const controller = new AbortController();
  await assert.rejects(async () => {
    for await (const _ of client.streamSearch(name, "leave", { signal: controller.signal })) {
      controller.abort(new Error("enough"));
    }
  }, /enough/);
});

test("a closed client sends nothing", { skip }, async () => {
  const closed = connect(address ?? "");
  await closed.collection(name);
  closed.close();
  await assert.rejects(closed.collection(name), { code: "CANCELLED" });
});
