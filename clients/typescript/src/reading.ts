/** Messages of searches read into values. */

import type { Duration } from "@bufbuild/protobuf/wkt";
import * as pb from "./gen/tamis/v1/passage_pb.js";
import * as search from "./gen/tamis/v1/search_service_pb.js";
import type * as results from "./results.js";
import type { Span } from "./spans.js";
import { toMetadata, toValue } from "./values.js";

/** A search. */
export function searched(message: search.SearchResponse): results.SearchResult {
  const { text = "", citations = [], finishReason = pb.FinishReason.NOT_REQUESTED } = message.answer ?? {};
  return {
    ...retrieved(message),
    answer: { text, citations: citations.map(citation), finishReason: finish(finishReason) },
  };
}

/** A retrieval. */
export function retrieved(message: search.SearchResponse | search.RetrieveResponse): results.RankedResult {
  const passages = new Passages();
  return { hits: message.hits.map((each) => passages.hit(each)), ...summary(message) };
}

/** A reranking of passages, whose bodies the response does not have. */
export function reranked(message: search.RerankResponse, given: readonly results.PassageInput[]): results.RankedResult {
  const passages = new Passages(given);
  return { hits: message.hits.map((each) => passages.hit(each)), ...summary(message) };
}

/** Reads the events of one stream, in which a passage's body is sent once, or not at all where it was `given`. */
export class Events {
  readonly #passages: Passages;

  constructor(given: readonly results.PassageInput[] = []) {
    this.#passages = new Passages(given);
  }

  /** Undefined for an event that this client does not know. */
  search({ event }: search.StreamSearchResponse): results.SearchEvent | undefined {
    return event.case === "answerDelta" ? delta(event.value) : this.#other(event);
  }

  rerank({ event }: search.StreamRerankResponse): results.RerankEvent | undefined {
    return this.#other(event);
  }

  generate({ event }: search.GenerateResponse): results.GenerateEvent | undefined {
    switch (event.case) {
      case "answerDelta":
        return delta(event.value);
      case "stageCompleted":
        return { type: "stageCompleted", report: report(event.value) };
      case "completed":
        return completed(event.value);
      default:
        return undefined;
    }
  }

  #other(event: search.StreamRerankResponse["event"]): results.RerankEvent | undefined {
    switch (event.case) {
      case "hitsRevised": {
        const { revision, stage, hits } = event.value;
        return { type: "hitsRevised", revision, stage, hits: hits.map((each) => this.#passages.hit(each)) };
      }
      case "stageCompleted":
        return { type: "stageCompleted", report: report(event.value) };
      case "completed":
        return completed(event.value);
      default:
        return undefined;
    }
  }
}

/** The passages of one result or stream, by id. */
class Passages {
  readonly #known = new Map<string, results.Passage>();

  constructor(given: readonly results.PassageInput[] = []) {
    for (const each of given) this.#known.set(each.id, { ...EMPTY_PASSAGE, ...each });
  }

  hit(message: pb.Hit): results.Hit {
    return {
      passage: this.#passage(message.passage),
      score: message.score,
      scoreKind: scoreKind(message.scoreKind),
      stageScores: message.stageScores.map(stageScore),
      snippet: message.snippet,
      snippetHighlights: message.snippetHighlights.map(span),
    };
  }

  #passage(message: pb.Passage | undefined): results.Passage {
    if (message === undefined) return EMPTY_PASSAGE;
    let found = this.#known.get(message.id);
    if (found === undefined) {
      found = passage(message);
      this.#known.set(message.id, found);
    }
    return found;
  }
}

const EMPTY_PASSAGE: results.Passage = {
  id: "",
  text: "",
  title: "",
  heading: "",
  headingPath: [],
  documentId: "",
  documentVersion: 0n,
  documentSpan: undefined,
  metadata: {},
  locator: undefined,
};

function passage(message: pb.Passage): results.Passage {
  const { id, text, title, heading, headingPath, documentId, documentVersion } = message;
  return {
    ...{ id, text, title, heading, headingPath, documentId, documentVersion },
    documentSpan: message.documentSpan && span(message.documentSpan),
    metadata: toMetadata(message.metadata),
    locator: locator(message.locator),
  };
}

function stageScore(message: pb.StageScore): results.StageScore {
  const { stage, rank, score, contributions } = message;
  return {
    ...{ stage, rank, score },
    scoreKind: scoreKind(message.scoreKind),
    contributions: contributions.map(({ stage, rank, value }) => ({ stage, rank, value })),
  };
}

function citation(message: pb.Citation): results.Citation {
  const { passageId, documentId, documentVersion } = message;
  return {
    ...{ passageId, documentId, documentVersion },
    answerSpan: span(message.answerSpan),
    documentSpan: span(message.documentSpan),
    locator: locator(message.locator),
  };
}

function span(message: pb.ByteSpan | undefined): Span {
  return { start: message?.start ?? 0, end: message?.end ?? 0 };
}

function locator(message: pb.Locator | undefined): results.Locator | undefined {
  if (message === undefined) return undefined;
  const { firstPage, lastPage, firstLine, lastLine } = message;
  return { firstPage, lastPage, firstLine, lastLine };
}

function delta({ text, citations }: search.AnswerDelta): results.AnswerDelta {
  return { type: "answerDelta", text, citations: citations.map(citation) };
}

function completed(message: search.Completed): results.Completed {
  return {
    type: "completed",
    finishReason: finish(message.finishReason),
    revision: message.revision,
    budgetBasis: named(search.BudgetBasis, message.budgetBasis),
    ...summary(message),
  };
}

/** A reranking has fewer fields than the others. */
function summary(
  message: Pick<search.Completed, "stageReports" | "usage" | "pipeline"> & Partial<Omit<search.Completed, "$typeName">>,
): results.Summary {
  return {
    stageReports: message.stageReports.map(report),
    unreachable: message.unreachable ?? [],
    usage: usage(message.usage),
    pipeline: message.pipeline,
    nextPageToken: message.nextPageToken ?? "",
    facets: (message.facets ?? []).map(facet),
    suggestedQuery: message.suggestedQuery ?? "",
    indexProgress: (message.indexProgress ?? []).map(({ stage, appliedSequence, lagCount }) => ({
      ...{ stage, appliedSequence },
      lagCount: Number(lagCount),
    })),
  };
}

function report(message: pb.StageReport): results.StageReport {
  const { stage, doneCount, totalCount, plannedCount, notes } = message;
  return {
    ...{ stage, doneCount, totalCount, plannedCount, notes },
    role: named(pb.StageRole, message.role) ?? "UNKNOWN",
    outcome: named(pb.StageOutcome, message.outcome) ?? "UNKNOWN",
    reason: named(pb.StageReason, message.reason),
    elapsedMs: milliseconds(message.elapsedDuration),
    budgetMs: milliseconds(message.budgetDuration),
    plannedMs: message.plannedDuration && milliseconds(message.plannedDuration),
    usage: usage(message.usage),
  };
}

function usage(message: pb.Usage | undefined): results.Usage {
  const cost = message?.cost;
  return {
    pairCount: Number(message?.pairCount ?? 0),
    inputTokenCount: Number(message?.inputTokenCount ?? 0),
    outputTokenCount: Number(message?.outputTokenCount ?? 0),
    modelCallCount: Number(message?.modelCallCount ?? 0),
    cacheHitCount: Number(message?.cacheHitCount ?? 0),
    modelMs: milliseconds(message?.modelDuration),
    cost: cost && { currency: cost.currencyCode, units: cost.units, nanos: cost.nanos },
  };
}

function facet(message: search.Facet): results.Facet {
  return {
    field: message.field,
    counts: message.counts.map(({ value, documentCount }) => ({
      value: value === undefined ? null : toValue(value),
      documentCount: Number(documentCount),
    })),
    documentCount: Number(message.documentCount),
    valueCount: Number(message.valueCount),
  };
}

function milliseconds(message: Duration | undefined): number {
  return message === undefined ? 0 : Number(message.seconds) * 1e3 + message.nanos / 1e6;
}

function finish(value: pb.FinishReason): results.FinishReason {
  return named(pb.FinishReason, value) ?? "UNKNOWN";
}

function scoreKind(value: pb.ScoreKind): results.ScoreKind | undefined {
  return named(pb.ScoreKind, value);
}

/** The name of a member, undefined for UNSPECIFIED. */
function named<E extends Record<string, string | number>>(members: E, value: number): results.NameOf<E> | undefined {
  return value === 0 ? undefined : (((members as Record<number, string>)[value] ?? "UNKNOWN") as results.NameOf<E>);
}
