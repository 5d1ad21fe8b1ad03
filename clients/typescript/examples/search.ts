/** Indexes three documents, searches them with a filter and a deadline, and prints what comes. */

import { CallError, type Completed, connect, field, type StageReport, textOf, utf16Range } from "tamis-client";

const DOCUMENTS = [
  {
    id: "leave",
    text: "Good news 🎉👶! Parental leave is twelve weeks, paid in full. Ask early.",
    metadata: { year: 2024, lang: "en" },
  },
  {
    id: "piano",
    text: "🎹 The piano in the café is for all who are on a break.",
    metadata: { year: 2023, lang: "en" },
  },
  { id: "travel", text: "🚂 Trains are booked by everyone alone, and before the leave.", metadata: { year: 2019 } },
];

using client = connect(process.env.TAMIS_ADDRESS ?? "127.0.0.1:7601");
const collection = `example-${process.pid}`;

await client.createCollection(collection);
const written = await client.write(collection, DOCUMENTS);
await client.waitIndexed(collection, written.sequence);
console.log(`${written.writtenCount} documents can be found`);

const filter = field("year")
  .atLeast(2020)
  .and(field("lang").oneOf(["en", "de"]));
const texts = new Map(DOCUMENTS.map((each) => [each.id, each.text]));
let answer = "";
let completed: Completed | undefined;

console.log("\nHow long is parental leave?");
for await (const event of client.streamSearch(collection, "How long is parental leave?", {
  filter,
  timeoutMs: 5_000,
})) {
  switch (event.type) {
    case "hitsRevised":
      console.log(`\nrevision ${event.revision}, by ${event.stage}`);
      event.hits.forEach(({ passage, score, scoreKind }, at) => {
        console.log(`  ${at + 1}. ${passage.documentId}  ${scoreKind} ${score?.toFixed(3)}  ${passage.text}`);
      });
      break;
    case "stageCompleted":
      console.log(`${event.report.stage} has ended: ${event.report.outcome}`);
      break;
    case "answerDelta":
      answer += event.text;
      for (const { documentId, documentSpan } of event.citations) {
        const text = texts.get(documentId) ?? "";
        const [start, end] = utf16Range(documentSpan, text);
        console.log(`\n${documentId}, bytes ${documentSpan.start}-${documentSpan.end}, slice(${start}, ${end}):`);
        console.log(`  ${text.slice(start, end)}`);
        if (text.slice(start, end) !== textOf(documentSpan, text)) throw new Error("the two must be the same");
      }
      break;
    case "completed":
      completed = event;
      break;
  }
}
console.log(`\nanswer: ${answer} (${completed?.finishReason})`);
console.log("\nstages");
for (const each of completed?.stageReports ?? []) console.log(`  ${line(each)}`);

try {
  await client.search(collection, "leave", { pipeline: "bm25 >>" });
} catch (error) {
  if (!(error instanceof CallError)) throw error;
  switch (error.reason) {
    case "INVALID_EXPRESSION":
      console.log(`\n${error.reason}: ${error.message}`);
      break;
    case "OVERLOADED":
      console.log(`\nagain in ${error.retryAfterMs} ms`);
      break;
    default:
      throw error;
  }
}
await client.deleteCollection(collection);

function line({ stage, outcome, reason, doneCount, totalCount, elapsedMs, budgetMs }: StageReport): string {
  const why = reason ? ` (${reason})` : "";
  return `${stage}: ${outcome}${why}, ${doneCount} of ${totalCount}, ${elapsedMs.toFixed(1)} of ${budgetMs.toFixed(0)} ms`;
}
