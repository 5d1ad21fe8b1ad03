/** What a call may ask for. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Boost, Filter, SortKey } from "./filters.js";
import * as passage from "./gen/tamis/v1/passage_pb.js";
import type { StageOverrideSchema, StreamSearchRequestSchema } from "./gen/tamis/v1/search_service_pb.js";
import type { PassageInput, ScoreKind } from "./results.js";
import { fromMetadata, fromValue, type Value } from "./values.js";

/** How long a call may take, and what ends it before. */
export interface CallOptions {
  /** Milliseconds until the deadline; of a search it is the budget that the server spends. The client's if left out. */
  timeoutMs?: number | undefined;
  /** Ends the call, on the server as well; its reason is thrown. */
  signal?: AbortSignal | undefined;
}

/** Settings for one request, by stage: `{ answer: { max_sentences: 5 } }`. */
export type StageOverrides = { readonly [stage: string]: { readonly [setting: string]: Value } };

/** What a search may ask for beyond a query. `docs/search.md` says what each is good for. */
export interface SearchOptions extends CallOptions {
  /** A configured pipeline's name or an expression; `default` if left out. */
  pipeline?: string;
  /** What must hold for every hit: `field("year").atLeast(2020)`. */
  filter?: Filter | undefined;
  /** The most hits: 10 if left out, more than 1,000 is cut to 1,000. */
  pageSize?: number;
  /** `nextPageToken` of the page before; all else as it was then, but for `pageSize`. */
  pageToken?: string;
  /** The most hits of one document; any number if left out. */
  documentHitLimit?: number;
  /** Whether the hits of one document stand together; `pageSize` then counts documents. */
  groupByDocument?: boolean;
  /** The least score of a kind that stays. */
  scoreThresholds?: { readonly [kind in Exclude<ScoreKind, "UNKNOWN">]?: number };
  /** What else makes a hit better: `field("updated").recent(halfLifeMs)`. */
  boosts?: readonly Boost[];
  /** Another order: `field("year").descending()`. */
  sortKeys?: readonly SortKey[];
  /** Fields whose values are counted, or the most values of each by field. */
  facetSpecs?: readonly string[] | { readonly [field: string]: number };
  stageOverrides?: StageOverrides;
  /** Documents to find others like; the query may then be empty. */
  likeDocumentIds?: readonly string[];
  /** Waits until the indexes have applied this sequence of a write. */
  minSequence?: bigint;
}

/** What a reranking may ask for. */
export interface RerankOptions extends CallOptions {
  pipeline?: string;
  pageSize?: number;
  stageOverrides?: StageOverrides;
}

/** What a request of `search`, `retrieve` or `streamSearch` holds: the three have the same fields. */
export function searchRequest(collection: string, query: string, options: SearchOptions) {
  const { pipeline, pageSize, pageToken, documentHitLimit, groupByDocument, minSequence } = options;
  const facets = options.facetSpecs ?? [];
  return defined({
    ...{ collection, query, pipeline, pageSize, pageToken, documentHitLimit, groupByDocument, minSequence },
    filter: options.filter?.message,
    scoreThresholds: Object.entries(options.scoreThresholds ?? {}).map(([kind, minScore]) => ({
      scoreKind: passage.ScoreKind[kind as Exclude<ScoreKind, "UNKNOWN">],
      minScore,
    })),
    boosts: [...(options.boosts ?? [])],
    sortKeys: [...(options.sortKeys ?? [])],
    facetSpecs: isList(facets)
      ? facets.map((field) => ({ field }))
      : Object.entries(facets).map(([field, valueLimit]) => ({ field, valueLimit })),
    stageOverrides: overrides(options.stageOverrides),
    likeDocumentIds: [...(options.likeDocumentIds ?? [])],
  }) satisfies MessageInitShape<typeof StreamSearchRequestSchema>;
}

/** What a request of `rerank`, `streamRerank` or `generate` holds. */
export function passagesRequest(query: string, passages: readonly PassageInput[], options: RerankOptions) {
  const { pipeline, pageSize, stageOverrides } = options;
  return defined({
    ...{ query, pipeline, pageSize },
    passages: passages.map(fromPassage),
    stageOverrides: overrides(stageOverrides),
  });
}

function fromPassage({ id, text, title, heading, documentId, documentSpan, metadata }: PassageInput) {
  return defined({ id, text, title, heading, documentId, documentSpan, metadata: fromMetadata(metadata ?? {}) });
}

function overrides(stages: StageOverrides = {}): MessageInitShape<typeof StageOverrideSchema>[] {
  return Object.entries(stages).flatMap(([stage, settings]) =>
    Object.entries(settings).map(([setting, value]) => ({ stage, setting, value: fromValue(value) })),
  );
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Without the keys that are undefined. */
export function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}

function isList(facets: readonly string[] | object): facets is readonly string[] {
  return Array.isArray(facets);
}
