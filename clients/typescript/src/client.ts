/** A client: the calls of all services with deadlines, retries, and plain values in and out. */

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { ConnectError, type CallOptions as StubOptions } from "@connectrpc/connect";
import { Connection, type ConnectOptions, type Stubs, TokenFailure } from "./connection.js";
import {
  type Collection,
  type Deleted,
  type Document,
  type DocumentInput,
  fromDocument,
  type IndexState,
  type MetadataPatch,
  toCollection,
  toDocument,
  toIndexState,
  type Written,
} from "./documents.js";
import { CallError, callError } from "./errors.js";
import type { Filter } from "./filters.js";
import { WriteDocumentsRequestSchema } from "./gen/tamis/v1/index_service_pb.js";
import { type CallOptions, passagesRequest, type RerankOptions, type SearchOptions, searchRequest } from "./options.js";
import { Events, reranked, retrieved, searched } from "./reading.js";
import type { GenerateEvent, PassageInput, RankedResult, RerankEvent, SearchEvent, SearchResult } from "./results.js";
import { Attempts, DEFAULT_RETRIES, RetryBudget } from "./retries.js";
import { unlessAborted } from "./signals.js";
import { fromMetadata } from "./values.js";
import { batched, one, only } from "./writing.js";

const LONGEST_TIMEOUT_MS = 2 ** 31 - 1; // what a timer of Node can count

/** A client for the server at `HOST:PORT`. Connects when first used. */
export function connect(address: string, options: ConnectOptions = {}): Client {
  return new Client(address, options);
}

/**
 * A connection to a server. Its methods throw `CallError`, or the reason of an aborted `signal`.
 *
 * Every call has a deadline: `timeoutMs` of the method or else of the client. A call that meets no server (UNAVAILABLE)
 * is sent again within its deadline by `retries`, unless that could do a thing twice. Streams are generators: leaving
 * one cancels its call.
 */
export class Client {
  /** For what has no method here. */
  readonly stubs: Stubs;
  readonly #connection: Connection;
  readonly #timeoutMs: number;
  readonly #budget: RetryBudget;

  constructor(address: string, options: ConnectOptions = {}) {
    this.#timeoutMs = checkedTimeout(options.timeoutMs ?? 10_000);
    this.#budget = new RetryBudget({ ...DEFAULT_RETRIES, ...options.retries });
    this.#connection = new Connection(address, options, this.#timeoutMs);
    this.stubs = this.#connection.stubs;
  }

  /** Ends the calls under way, which throw `CANCELLED`, and the connection. May be called twice. */
  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Runs a whole pipeline: hits and, where it has a generator, an answer. */
  async search(collection: string, query = "", options: SearchOptions = {}): Promise<SearchResult> {
    const request = searchRequest(collection, query, options);
    return searched(await this.#one(options, (stubs, how) => stubs.search.search(request, how)));
  }

  /** Runs the retrieving part of a pipeline. */
  async retrieve(collection: string, query = "", options: SearchOptions = {}): Promise<RankedResult> {
    const request = searchRequest(collection, query, options);
    return retrieved(await this.#one(options, (stubs, how) => stubs.search.retrieve(request, how)));
  }

  /** Retrieves one page after another, to the end of what the pipeline finds. The deadline is that of each page. */
  async *pages(collection: string, query = "", options: SearchOptions = {}): AsyncGenerator<RankedResult, void> {
    let pageToken = options.pageToken ?? "";
    do {
      const page = await this.retrieve(collection, query, { ...options, pageToken });
      yield page;
      pageToken = page.nextPageToken;
    } while (pageToken);
  }

  /** The events of a search as they come. */
  streamSearch(collection: string, query = "", options: SearchOptions = {}): AsyncGenerator<SearchEvent, void> {
    const request = searchRequest(collection, query, options);
    const events = new Events();
    return this.#many(
      options,
      (stubs, how) => stubs.search.streamSearch(request, how),
      (message) => events.search(message),
    );
  }

  /** Orders passages of yours by the rerankers of a pipeline. */
  async rerank(query: string, passages: readonly PassageInput[], options: RerankOptions = {}): Promise<RankedResult> {
    const request = passagesRequest(query, passages, options);
    return reranked(await this.#one(options, (stubs, how) => stubs.search.rerank(request, how)), passages);
  }

  /** The events of a reranking as they come. */
  streamRerank(
    query: string,
    passages: readonly PassageInput[],
    options: RerankOptions = {},
  ): AsyncGenerator<RerankEvent, void> {
    const request = passagesRequest(query, passages, options);
    const events = new Events(passages);
    return this.#many(
      options,
      (stubs, how) => stubs.search.streamRerank(request, how),
      (message) => events.rerank(message),
    );
  }

  /** An answer from passages of yours, best first, as it is written. */
  generate(
    query: string,
    passages: readonly PassageInput[],
    options: Omit<RerankOptions, "pageSize"> = {},
  ): AsyncGenerator<GenerateEvent, void> {
    const request = passagesRequest(query, passages, options);
    const events = new Events(passages);
    return this.#many(
      options,
      (stubs, how) => stubs.search.generate(request, how),
      (message) => events.generate(message),
    );
  }

  /**
   * Writes documents in batches of up to `batchSize` and 4 MiB, one after the other, and returns once all are durable.
   * Each batch has a deadline, 60 seconds if left out, and is sent again under its request id, so that it is written
   * once. When it throws, the batches before are written.
   */
  async write(
    collection: string,
    documents: Iterable<DocumentInput> | AsyncIterable<DocumentInput>,
    options: CallOptions & { batchSize?: number } = {},
  ): Promise<Written> {
    const { batchSize = 64, timeoutMs = 60_000 } = options;
    const sum = { sequence: 0n, writtenCount: 0, unchangedCount: 0 };
    for await (const batch of batched(documents, batchSize, fromDocument)) {
      const request = create(WriteDocumentsRequestSchema, { collection, documents: batch, requestId: randomUUID() });
      const done = await this.#one({ ...options, timeoutMs }, (stubs, how) =>
        only(stubs.index.writeDocuments(one(request), how)),
      );
      sum.sequence = done.sequence > sum.sequence ? done.sequence : sum.sequence;
      sum.writtenCount += done.writtenCount;
      sum.unchangedCount += done.unchangedCount;
    }
    return sum;
  }

  /** Returns once everything up to `sequence` can be found; 0 stands for everything written so far. 60 seconds. */
  async waitIndexed(collection: string, sequence = 0n, options: CallOptions = {}): Promise<readonly IndexState[]> {
    const { timeoutMs = 60_000 } = options;
    const found = await this.#one({ ...options, timeoutMs }, (stubs, how) =>
      stubs.index.waitIndexed({ collection, sequence }, how),
    );
    return found.indexes.map(toIndexState);
  }

  /** Throws ALREADY_EXISTS. Not sent again. */
  async createCollection(
    collection: string,
    options: CallOptions & { language?: string; tenantPartitioned?: boolean } = {},
  ): Promise<Collection> {
    const { language = "", tenantPartitioned = false } = options;
    const found = await this.#once(options, (stubs, how) =>
      stubs.index.createCollection({ collection, language, tenantPartitioned }, how),
    );
    return toCollection(present(found.collection));
  }

  /** Throws NOT_FOUND. */
  async collection(collection: string, options: CallOptions = {}): Promise<Collection> {
    const found = await this.#one(options, (stubs, how) => stubs.index.getCollection({ collection }, how));
    return toCollection(present(found.collection));
  }

  /** All of them, by id. */
  async *collections(options: CallOptions = {}): AsyncGenerator<Collection, void> {
    let pageToken = "";
    do {
      const page = await this.#one(options, (stubs, how) => stubs.index.listCollections({ pageToken }, how));
      yield* page.collections.map(toCollection);
      pageToken = page.nextPageToken;
    } while (pageToken);
  }

  /** With all that is in it. Throws NOT_FOUND. Not sent again. */
  async deleteCollection(collection: string, options: CallOptions = {}): Promise<void> {
    await this.#once(options, (stubs, how) => stubs.index.deleteCollection({ collection }, how));
  }

  /** Throws NOT_FOUND. */
  async document(collection: string, documentId: string, options: CallOptions = {}): Promise<Document> {
    const found = await this.#one(options, (stubs, how) => stubs.index.getDocument({ collection, documentId }, how));
    return toDocument(present(found.document));
  }

  /** All of them, by id, without their texts; asked for page by page as they are needed. */
  async *documents(
    collection: string,
    options: CallOptions & { pageSize?: number } = {},
  ): AsyncGenerator<Document, void> {
    const { pageSize = 100 } = options;
    let pageToken = "";
    do {
      const request = { collection, pageSize, pageToken };
      const page = await this.#one(options, (stubs, how) => stubs.index.listDocuments(request, how));
      yield* page.documents.map(toDocument);
      pageToken = page.nextPageToken;
    } while (pageToken);
  }

  /** Deletes by ids, at most 1,000, or by a filter, all or none. Sent again under its `requestId`. */
  async deleteDocuments(
    collection: string,
    which: readonly string[] | Filter,
    options: CallOptions & { requestId?: string } = {},
  ): Promise<Deleted> {
    const { requestId = randomUUID() } = options;
    const chosen = "message" in which ? { filter: which.message } : { documentIds: [...which] };
    const { sequence, deletedCount } = await this.#one(options, (stubs, how) =>
      stubs.index.deleteDocuments({ collection, ...chosen, requestId }, how),
    );
    return { sequence, deletedCount };
  }

  /** Changes metadata, at most 1,000 documents, all or none. Sent again under its `requestId`. */
  async patchMetadata(
    collection: string,
    patches: readonly MetadataPatch[],
    options: CallOptions & { requestId?: string } = {},
  ): Promise<Written> {
    const { requestId = randomUUID() } = options;
    const sent = patches.map(({ documentId, metadata = {}, removedKeys = [] }) => ({
      documentId,
      metadata: fromMetadata(metadata),
      removedKeys: [...removedKeys],
    }));
    const { sequence, writtenCount, unchangedCount } = await this.#one(options, (stubs, how) =>
      stubs.index.patchMetadata({ collection, patches: sent, requestId }, how),
    );
    return { sequence, writtenCount, unchangedCount };
  }

  /** Sends what may be sent twice. */
  async #one<T>(options: CallOptions, send: (stubs: Stubs, how: StubOptions) => Promise<T>): Promise<T> {
    return this.#attempt(this.#attempts(options, true), options, send);
  }

  /** Sends what must not be sent twice. */
  async #once<T>(options: CallOptions, send: (stubs: Stubs, how: StubOptions) => Promise<T>): Promise<T> {
    return this.#attempt(this.#attempts(options, false), options, send);
  }

  async #attempt<T>(
    attempts: Attempts,
    { signal }: CallOptions,
    send: (stubs: Stubs, how: StubOptions) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      this.#checkOpen(signal);
      try {
        const found = await send(this.stubs, { timeoutMs: attempts.remainingMs, ...(signal && { signal }) });
        attempts.succeeded();
        return found;
      } catch (thrown) {
        await this.#pauseOrThrow(attempts, thrown, false, signal);
      }
    }
  }

  async *#many<M, E>(
    options: CallOptions,
    send: (stubs: Stubs, how: StubOptions) => AsyncIterable<M>,
    read: (message: M) => E | undefined,
  ): AsyncGenerator<E, void> {
    const attempts = this.#attempts(options, true);
    const { signal } = options;
    for (let hasBegun = false; ; ) {
      this.#checkOpen(signal);
      const leaving = new AbortController();
      const leave = () => leaving.abort(signal?.reason);
      signal?.addEventListener("abort", leave, { once: true });
      const how = { timeoutMs: attempts.remainingMs, signal: leaving.signal };
      const messages = send(this.stubs, how)[Symbol.asyncIterator]();
      try {
        for (let next = await messages.next(); !next.done; next = await messages.next()) {
          hasBegun = true;
          const event = read(next.value);
          if (event !== undefined) yield event;
        }
        attempts.succeeded();
        return;
      } catch (thrown) {
        await this.#pauseOrThrow(attempts, thrown, hasBegun, signal);
      } finally {
        signal?.removeEventListener("abort", leave);
        leaving.abort();
        // Only reading on tells Connect that the stream is over; until then its timer keeps the process alive.
        messages.next().catch(() => {});
      }
    }
  }

  async #pauseOrThrow(attempts: Attempts, thrown: unknown, hasBegun: boolean, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (!(thrown instanceof ConnectError)) throw thrown;
    if (thrown.cause instanceof TokenFailure) throw thrown.cause.thrown;
    const { isOpen, closed } = this.#connection;
    const error = callError(thrown, isOpen);
    const wait = isOpen ? attempts.pauseAfter(error, hasBegun) : undefined;
    if (wait === undefined) throw error;
    const over = new AbortController();
    await unlessAborted(pause(wait, undefined, { signal: over.signal }), closed, signal)
      .catch(() => {}) // the next attempt says why there is none
      .finally(() => over.abort());
  }

  #attempts({ timeoutMs = this.#timeoutMs }: CallOptions, isRepeatable: boolean): Attempts {
    return new Attempts(this.#budget, checkedTimeout(timeoutMs), isRepeatable);
  }

  #checkOpen(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (!this.#connection.isOpen) throw new CallError("CANCELLED", "the client is closed");
  }
}

function checkedTimeout(timeoutMs: number): number {
  if (!(timeoutMs > 0 && timeoutMs <= LONGEST_TIMEOUT_MS)) {
    throw new RangeError(`timeoutMs must be above 0 and at most ${LONGEST_TIMEOUT_MS}, not ${timeoutMs}`);
  }
  return timeoutMs;
}

function present<T>(message: T | undefined): T {
  if (message === undefined) throw new CallError("INTERNAL", "the server left out what was asked for");
  return message;
}
