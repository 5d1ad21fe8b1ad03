/** What a server refused, unpacked from its google.rpc.Status. */

import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

/** One wrong field of the request: its path, and what is allowed. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** A status by its name in gRPC. */
export type CodeName =
  | "CANCELLED"
  | "UNKNOWN"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNAUTHENTICATED";

/** A call that ended with another status than OK. */
export class CallError extends Error {
  override readonly name = "CallError";
  readonly code: CodeName;
  /** Stable and made for programs: `NOT_FOUND`. Empty when the failure did not come from Tamis: no server answered. */
  readonly reason: string;
  /** What the reason is about: of `NOT_FOUND` the `kind` and the `name`. */
  readonly metadata: { readonly [key: string]: string };
  /** Of a bad request, the fields that are to blame. */
  readonly violations: readonly FieldViolation[];
  /** In how many milliseconds to try again; undefined when the server does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: CodeName,
    message: string,
    found: {
      reason?: string;
      metadata?: { readonly [key: string]: string };
      violations?: readonly FieldViolation[];
      retryAfterMs?: number | undefined;
      cause?: unknown;
    } = {},
  ) {
    super(message, { cause: found.cause });
    this.code = code;
    this.reason = found.reason ?? "";
    this.metadata = found.metadata ?? {};
    this.violations = found.violations ?? [];
    this.retryAfterMs = found.retryAfterMs;
  }
}

/**
 * What a stub of Connect threw, as a `CallError`. A call that broke off though it `isWanted`, ended by nobody on this
 * side, met no server: gRPC's word for it is UNAVAILABLE, where Connect says CANCELLED, ABORTED or INTERNAL.
 */
export function callError(thrown: unknown, isWanted = false): CallError {
  const error = ConnectError.from(thrown);
  const [info] = error.findDetails(ErrorInfoSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  const code = isWanted && isBrokenOff(error) ? "UNAVAILABLE" : codeName(error.code);
  return new CallError(code, error.rawMessage, {
    reason: info?.reason ?? "",
    metadata: info?.metadata ?? {},
    violations: error
      .findDetails(BadRequestSchema)
      .flatMap((each) => each.fieldViolations.map(({ field, description }) => ({ field, description }))),
    retryAfterMs: retry?.retryDelay && durationMs(retry.retryDelay),
    cause: error,
  });
}

function isBrokenOff(error: ConnectError): boolean {
  if (error.metadata.has("grpc-status") || error.code === Code.DeadlineExceeded) return false;
  if (error.code === Code.Canceled || error.code === Code.Aborted) return true;
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string") return true; // an error of Node's, of a socket or of TLS
  }
  return false;
}

function codeName(code: number): CodeName {
  const name = Code[code] ?? "Unknown";
  if (name === "Canceled") return "CANCELLED";
  return name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase() as CodeName;
}
