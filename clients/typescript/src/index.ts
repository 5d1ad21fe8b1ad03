/** The Node client of Tamis. */

export { Client, connect } from "./client.js";
export { type ConnectOptions, type Stubs, TENANT_HEADER, type Tls, type Token } from "./connection.js";
export type {
  Collection,
  Deleted,
  Document,
  DocumentInput,
  IndexState,
  Landmark,
  MetadataPatch,
  Written,
} from "./documents.js";
export { CallError, type CodeName, callError, type FieldViolation } from "./errors.js";
export {
  allOf,
  anyOf,
  type Boost,
  boostWhere,
  type Field,
  type Filter,
  field,
  fieldNamed,
  type SortKey,
} from "./filters.js";
export type { CallOptions, RerankOptions, SearchOptions, StageOverrides } from "./options.js";
export type * from "./results.js";
export type { RetryPolicy } from "./retries.js";
export { byteOffset, highlighted, type Piece, type Span, textOf, utf16Range } from "./spans.js";
export type { Metadata, Scalar, Value } from "./values.js";
