/** Documents, and what a server says of documents and collections. */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type * as index from "./gen/tamis/v1/index_service_pb.js";
import { type Document as DocumentMessage, DocumentSchema, type LandmarkSchema } from "./gen/tamis/v1/passage_pb.js";
import { fromMetadata, type Metadata, toMetadata } from "./values.js";

/** A heading or a page of a document's text that begins at byte `start`; levels count from 1, the outermost, to 9. */
export type Landmark =
  | { readonly start: number; readonly heading: { readonly text: string; readonly level: number } }
  | { readonly start: number; readonly page: number };

/** A text as its owner wrote it. `id` is unique in its collection. */
export interface DocumentInput {
  readonly id: string;
  readonly text?: string;
  readonly title?: string;
  readonly metadata?: Metadata;
  readonly landmarks?: readonly Landmark[];
}

/** A document as the server has it. */
export interface Document extends Required<DocumentInput> {
  readonly version: bigint;
}

/** What was acknowledged, and is durable. Wait for `sequence` to find it. */
export interface Written {
  readonly sequence: bigint;
  readonly writtenCount: number;
  readonly unchangedCount: number;
}

/** How many documents are no more; `sequence` is 0 when nothing changed. */
export interface Deleted {
  readonly sequence: bigint;
  readonly deletedCount: number;
}

/** Changes the metadata of one document: keys to set, each as a whole, and keys to remove. */
export interface MetadataPatch {
  readonly documentId: string;
  readonly metadata?: Metadata;
  readonly removedKeys?: readonly string[];
}

/** How far one index has followed; `problem` says in a word why it does not, and is empty while all is well. */
export interface IndexState {
  readonly stage: string;
  readonly appliedSequence: bigint;
  readonly lagCount: number;
  readonly problem: string;
  readonly deadLetterCount: number;
}

/** A named set of documents, as the caller sees it. */
export interface Collection {
  readonly id: string;
  readonly createTime: Date;
  readonly lastSequence: bigint;
  readonly documentCount: number;
  readonly passageCount: number;
  readonly indexes: readonly IndexState[];
  readonly language: string;
  readonly tenantPartitioned: boolean;
}

/** One to send. Throws as `fromValue` for metadata that cannot be sent. */
export function fromDocument(document: DocumentInput): DocumentMessage {
  const { id, text = "", title = "", metadata = {}, landmarks = [] } = document;
  return create(DocumentSchema, {
    ...{ id, text, title },
    metadata: fromMetadata(metadata),
    landmarks: landmarks.map(fromLandmark),
  });
}

function fromLandmark(landmark: Landmark): MessageInitShape<typeof LandmarkSchema> {
  const { start } = landmark;
  return "page" in landmark
    ? { start, kind: { case: "page", value: landmark.page } }
    : { start, kind: { case: "heading", value: landmark.heading } };
}

/** One that came. */
export function toDocument({ id, text, title, metadata, landmarks, version }: DocumentMessage): Document {
  return {
    ...{ id, text, title, version },
    metadata: toMetadata(metadata),
    landmarks: landmarks.flatMap(({ start, kind }): Landmark[] => {
      if (kind.case === "page") return [{ start, page: kind.value }];
      if (kind.case === "heading") return [{ start, heading: { text: kind.value.text, level: kind.value.level } }];
      return [];
    }),
  };
}

/** One that came. */
export function toIndexState(message: index.IndexState): IndexState {
  const { stage, appliedSequence, lagCount, problem, deadLetterCount } = message;
  return {
    ...{ stage, appliedSequence, problem },
    lagCount: Number(lagCount),
    deadLetterCount: Number(deadLetterCount),
  };
}

/** One that came. */
export function toCollection(message: index.Collection): Collection {
  const { id, lastSequence, language, tenantPartitioned } = message;
  return {
    ...{ id, lastSequence, language, tenantPartitioned },
    createTime: date(message.createTime),
    documentCount: Number(message.documentCount),
    passageCount: Number(message.passageCount),
    indexes: message.indexes.map(toIndexState),
  };
}

function date(message: Timestamp | undefined): Date {
  return message === undefined ? new Date(0) : timestampDate(message);
}
