/** Metadata values to and from `tamis.v1.Value`. */

import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Value as ValueMessage, ValueSchema } from "./gen/tamis/v1/value_pb.js";

/** What a field is compared with. */
export type Scalar = null | boolean | number | bigint | string | Date;

/**
 * What metadata may hold. A whole `number` is sent as an integer, which the server compares as the number that it is;
 * a `bigint` has 64 bits at most. Integers beyond 2^53 come back as `bigint`, times to the millisecond.
 */
export type Value = Scalar | readonly Value[] | { readonly [key: string]: Value };

/** Values by name. */
export type Metadata = { readonly [key: string]: Value };

const MOST = 1n << 63n;

/** Each value as a message. Throws as `fromValue`. */
export function fromMetadata(metadata: Metadata): { [key: string]: ValueMessage } {
  return Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, fromValue(value)]));
}

/** One value as a message. Throws `TypeError` or `RangeError` for what cannot be sent. */
export function fromValue(value: Value): ValueMessage {
  return create(ValueSchema, { kind: kindOf(value) });
}

function kindOf(value: Value): ValueMessage["kind"] {
  if (value === null) return { case: "nullValue", value: 0 };
  if (typeof value === "boolean") return { case: "boolValue", value };
  if (typeof value === "string") return { case: "stringValue", value };
  if (typeof value === "bigint") {
    if (value < -MOST || value >= MOST) throw new RangeError("an integer has more than 64 bits; write it as a string");
    return { case: "intValue", value };
  }
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new RangeError(`${value} is no value: a number must be finite`);
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) return { case: "intValue", value: BigInt(value) };
    return { case: "doubleValue", value };
  }
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new RangeError("an invalid date is no value");
    return { case: "timestampValue", value: timestampFromDate(value) };
  }
  if (Array.isArray(value)) {
    return { case: "listValue", value: { $typeName: "tamis.v1.ListValue", values: value.map(fromValue) } };
  }
  const prototype = typeof value === "object" ? Object.getPrototypeOf(value) : undefined;
  if (prototype === Object.prototype || prototype === null) {
    return { case: "mapValue", value: { $typeName: "tamis.v1.MapValue", fields: fromMetadata(value as Metadata) } };
  }
  throw new TypeError(`${typeof value} is no value: null, boolean, number, bigint, string, Date, array, object are`);
}

/** What `fromMetadata` took. */
export function toMetadata(fields: { readonly [key: string]: ValueMessage }): Metadata {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, toValue(value)]));
}

/** What `fromValue` took; null for a kind of value that this client does not know. */
export function toValue(message: ValueMessage): Value {
  const { kind } = message;
  switch (kind.case) {
    case undefined:
    case "nullValue":
      return null;
    case "intValue": {
      const number = Number(kind.value);
      return Number.isSafeInteger(number) ? number : kind.value;
    }
    case "timestampValue":
      return timestampDate(kind.value);
    case "listValue":
      return kind.value.values.map(toValue);
    case "mapValue":
      return toMetadata(kind.value.fields);
    default:
      return kind.value;
  }
}
