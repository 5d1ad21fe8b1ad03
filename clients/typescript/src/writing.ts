/** Documents in batches, each a stream of one request. */

import { toBinary } from "@bufbuild/protobuf";
import type { DocumentInput } from "./documents.js";
import { CallError } from "./errors.js";
import { type Document, DocumentSchema } from "./gen/tamis/v1/passage_pb.js";

const BATCH_BYTES = 4 << 20;

/** Up to `size` documents and about 4 MiB at a time, as they come. Throws `RangeError`. */
export async function* batched(
  documents: Iterable<DocumentInput> | AsyncIterable<DocumentInput>,
  size: number,
  toMessage: (document: DocumentInput) => Document,
): AsyncGenerator<Document[], void> {
  if (!(Number.isInteger(size) && size >= 1 && size <= 1_000)) {
    throw new RangeError("batchSize must be from 1 to 1,000");
  }
  let batch: Document[] = [];
  let byteCount = 0;
  for await (const each of documents) {
    const message = toMessage(each);
    const more = toBinary(DocumentSchema, message).byteLength;
    if (batch.length === size || (batch.length > 0 && byteCount + more > BATCH_BYTES)) {
      yield batch;
      batch = [];
      byteCount = 0;
    }
    batch.push(message);
    byteCount += more;
  }
  if (batch.length > 0) yield batch;
}

/** The one response of a stream that is read to its end. */
export async function only<T>(responses: AsyncIterable<T>): Promise<T> {
  let found: T | undefined;
  for await (const each of responses) found = each;
  if (found === undefined) throw new CallError("INTERNAL", "the stream ended without a response");
  return found;
}

/** A stream of one request. */
export async function* one<T>(request: T): AsyncGenerator<T, void> {
  yield request;
}
