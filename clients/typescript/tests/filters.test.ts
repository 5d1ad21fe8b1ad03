import assert from "node:assert/strict";
import { test } from "node:test";
import { toJson } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { allOf, anyOf, type Filter, field, fieldNamed, type Scalar } from "tamis-client";
import { FilterSchema } from "tamis-client/v1";

const json = (filter: Filter) => toJson(FilterSchema, filter.message);
const year = field("year").atLeast(2020);
const lang = field("lang").oneOf(["de", "en"]);
const exists = field("a.b").exists();

test("filters are sent as they are written", () => {
  assert.deepEqual(json(year), {
    comparison: { field: "year", operator: "COMPARISON_OPERATOR_GREATER_OR_EQUAL", value: { intValue: "2020" } },
  });
  assert.deepEqual(json(lang.not()), {
    not: { membership: { field: "lang", values: [{ stringValue: "de" }, { stringValue: "en" }] } },
  });
});

test("lists within lists of the same word are opened, and others are not", () => {
  assert.deepEqual(json(year.and(lang).and(exists)), json(allOf([year, lang, exists])));
  assert.deepEqual(json(year.or(lang.or(exists))), json(anyOf([year, lang, exists])));
  assert.deepEqual(json(year.and(lang).or(exists)), { or: { filters: [json(year.and(lang)), json(exists)] } });
  assert.deepEqual(json(allOf([])), { and: {} });
});

test("a half-life need not be whole", () => {
  const { kind } = field("updated").recent(86_400_000 / 7);
  assert.deepEqual(kind?.case === "recency" && kind.value.halfLifeDuration, durationFromMs(12_342_857));
});

test("names are taken as they are", () => {
  assert.equal(fieldNamed("valid.until", "a\\b").path, "valid\\.until.a\\\\b");
});

test("each scalar keeps its type, and what is none is refused", () => {
  const sent = (value: Scalar) => {
    const { condition } = field("f").equals(value).message;
    return condition.case === "comparison" ? condition.value.value?.kind : undefined;
  };
  assert.deepEqual(sent(null), { case: "nullValue", value: 0 });
  assert.deepEqual(sent(2), { case: "intValue", value: 2n });
  assert.deepEqual(sent(2.5), { case: "doubleValue", value: 2.5 });
  assert.deepEqual(sent(2 ** 60), { case: "doubleValue", value: 2 ** 60 });
  assert.deepEqual(sent(2n ** 63n - 1n), { case: "intValue", value: 2n ** 63n - 1n });
  assert.equal(sent(new Date(0))?.case, "timestampValue");
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 2n ** 63n, new Date(Number.NaN)]) {
    assert.throws(() => sent(value), RangeError);
  }
  for (const value of [["de"], { a: 1 }, undefined, Symbol.iterator, new Map()]) {
    assert.throws(() => sent(value as never), TypeError);
  }
});
