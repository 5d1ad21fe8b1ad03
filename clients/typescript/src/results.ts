/** What a call returns, and the events of a stream. Durations are in milliseconds; what is absent is undefined. */

import type * as passage from "./gen/tamis/v1/passage_pb.js";
import type * as search from "./gen/tamis/v1/search_service_pb.js";
import type { Span } from "./spans.js";
import type { Metadata, Value } from "./values.js";

/** The names of an enumeration of the wire; a member that a newer server knows and this client does not is `UNKNOWN`. */
export type NameOf<E> = Exclude<keyof E, "UNSPECIFIED"> | "UNKNOWN";

/** What a score means. Scores of two kinds are never compared. */
export type ScoreKind = NameOf<typeof passage.ScoreKind>;
/** What a stage does. */
export type StageRole = NameOf<typeof passage.StageRole>;
/** How a stage ended. `UNREACHABLE` and `FELL_BACK` gave nothing; of `PARTIAL` what was done counts. */
export type StageOutcome = NameOf<typeof passage.StageOutcome>;
/** Why a stage did not simply run. */
export type StageReason = NameOf<typeof passage.StageReason>;
/** Why an answer ends where it does. None of these is an error. */
export type FinishReason = NameOf<typeof passage.FinishReason>;
/** What the division of the deadline among the stages rested on. */
export type BudgetBasis = NameOf<typeof search.BudgetBasis>;

/** Where in a document people find something: pages and lines from 1, 0 where it is not known. */
export interface Locator {
  readonly firstPage: number;
  readonly lastPage: number;
  readonly firstLine: number;
  readonly lastLine: number;
}

/** A stretch of one version of a document; `documentSpan` says where its text stands there. */
export interface Passage {
  readonly id: string;
  readonly text: string;
  readonly title: string;
  readonly heading: string;
  readonly headingPath: readonly string[];
  readonly documentId: string;
  readonly documentVersion: bigint;
  readonly documentSpan: Span | undefined;
  readonly metadata: Metadata;
  readonly locator: Locator | undefined;
}

/** A passage of yours to rerank or to answer from: an id, and a text or a title. */
export interface PassageInput {
  readonly id: string;
  readonly text?: string;
  readonly title?: string;
  readonly heading?: string;
  readonly documentId?: string;
  readonly documentSpan?: Span | undefined;
  readonly metadata?: Metadata;
}

/** What one side of a fusion added to a fused score; `rank` is 0 for a boost. */
export interface Contribution {
  readonly stage: string;
  readonly rank: number;
  readonly value: number;
}

/** What one stage made of a hit: its rank there, from 1, and its score unless the stage only ranks. */
export interface StageScore {
  readonly stage: string;
  readonly rank: number;
  readonly score: number | undefined;
  readonly scoreKind: ScoreKind | undefined;
  readonly contributions: readonly Contribution[];
}

/**
 * A passage in relation to a query. `score` is that of the last stage that scored it, comparable within one result and
 * one kind only. `stageScores` is the path it took, stage by stage. For `snippetHighlights` see `highlighted`.
 */
export interface Hit {
  readonly passage: Passage;
  readonly score: number | undefined;
  readonly scoreKind: ScoreKind | undefined;
  readonly stageScores: readonly StageScore[];
  readonly snippet: string;
  readonly snippetHighlights: readonly Span[];
}

/** Evidence for a part of an answer. */
export interface Citation {
  readonly answerSpan: Span;
  readonly passageId: string;
  readonly documentId: string;
  readonly documentVersion: bigint;
  readonly documentSpan: Span;
  readonly locator: Locator | undefined;
}

/** The answer to a query; `text` is empty unless the finish reason is ANSWERED or TRUNCATED. */
export interface Answer {
  readonly text: string;
  readonly citations: readonly Citation[];
  readonly finishReason: FinishReason;
}

/** An amount of money: whole units and billionths of one, of the same sign; `currency` as in ISO 4217. */
export interface Cost {
  readonly currency: string;
  readonly units: bigint;
  readonly nanos: number;
}

/** What work consumed. `cost` is undefined when nothing used is billed, or has a price on the server. */
export interface Usage {
  readonly pairCount: number;
  readonly inputTokenCount: number;
  readonly outputTokenCount: number;
  readonly modelCallCount: number;
  readonly cacheHitCount: number;
  readonly modelMs: number;
  readonly cost: Cost | undefined;
}

/** How one stage fared: `doneCount` of `totalCount`, in `elapsedMs` of the `budgetMs` it was given. */
export interface StageReport {
  readonly stage: string;
  readonly role: StageRole;
  readonly outcome: StageOutcome;
  readonly reason: StageReason | undefined;
  readonly doneCount: number;
  readonly totalCount: number;
  readonly plannedCount: number;
  readonly elapsedMs: number;
  readonly budgetMs: number;
  readonly plannedMs: number | undefined;
  readonly usage: Usage;
  readonly notes: readonly string[];
}

/** How far one index had got when the search began: everything up to `appliedSequence` could be found. */
export interface IndexProgress {
  readonly stage: string;
  readonly appliedSequence: bigint;
  readonly lagCount: number;
}

/** The values of a field, the most frequent first, each with the number of documents that have it. */
export interface Facet {
  readonly field: string;
  readonly counts: readonly { readonly value: Value; readonly documentCount: number }[];
  readonly documentCount: number;
  readonly valueCount: number;
}

/** What searches, retrievals and streams all say in the end. */
export interface Summary {
  readonly stageReports: readonly StageReport[];
  /** Stages that gave nothing, as `retrievers/bm25`. */
  readonly unreachable: readonly string[];
  readonly usage: Usage;
  /** The pipeline that ran, as the server reads it. */
  readonly pipeline: string;
  /** Asks for the next page; empty at the end. */
  readonly nextPageToken: string;
  readonly facets: readonly Facet[];
  readonly suggestedQuery: string;
  readonly indexProgress: readonly IndexProgress[];
}

/** What a retrieval or a reranking found, best first. */
export interface RankedResult extends Summary {
  readonly hits: readonly Hit[];
}

/** What a search found: hits, best first, and an answer. */
export interface SearchResult extends RankedResult {
  readonly answer: Answer;
}

/** Replaces all hits of revisions before; `stage` brought it about. Passages are whole in each of them. */
export interface HitsRevised {
  readonly type: "hitsRevised";
  readonly revision: number;
  readonly stage: string;
  readonly hits: readonly Hit[];
}

/** A stage has ended. */
export interface StageCompleted {
  readonly type: "stageCompleted";
  readonly report: StageReport;
}

/** The next piece of the answer, and the evidence that became known with it. */
export interface AnswerDelta {
  readonly type: "answerDelta";
  readonly text: string;
  readonly citations: readonly Citation[];
}

/** The end of a stream; `revision` is the last one. */
export interface Completed extends Summary {
  readonly type: "completed";
  readonly finishReason: FinishReason;
  readonly revision: number;
  readonly budgetBasis: BudgetBasis | undefined;
}

/** `(hitsRevised | stageCompleted)* (answerDelta | stageCompleted)* completed`. */
export type SearchEvent = HitsRevised | StageCompleted | AnswerDelta | Completed;
/** `(hitsRevised | stageCompleted)* completed`. */
export type RerankEvent = HitsRevised | StageCompleted | Completed;
/** `stageCompleted* answerDelta* stageCompleted* completed`. */
export type GenerateEvent = StageCompleted | AnswerDelta | Completed;
