/**
 * Filters as expressions: `field("year").atLeast(2020).and(field("lang").oneOf(["de", "en"]))`.
 *
 * Values travel as values and never as syntax, so that no value can mean anything but itself.
 */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  ComparisonOperator,
  type FilterList,
  type Filter as FilterMessage,
  FilterSchema,
} from "./gen/tamis/v1/filter_pb.js";
import type { BoostSchema, SortKeySchema } from "./gen/tamis/v1/search_service_pb.js";
import { fromValue, type Scalar } from "./values.js";

/** A condition on a document's metadata. Immutable, and made from a `field`. */
export class Filter {
  constructor(
    /** As it is sent. */
    readonly message: FilterMessage,
  ) {}

  /** True where both are. */
  and(other: Filter): Filter {
    return allOf([this, other]);
  }

  /** True where either is. */
  or(other: Filter): Filter {
    return anyOf([this, other]);
  }

  /** True where this is not, also where the field is missing. */
  not(): Filter {
    return filterOf({ case: "not", value: this.message });
  }
}

/** What raises hits: `field("updated").recent(days)`, or a condition: `boostWhere(filter, 0.2)`. */
export type Boost = MessageInitShape<typeof BoostSchema>;

/** An order by a field: `field("year").descending()`. */
export type SortKey = MessageInitShape<typeof SortKeySchema>;

/** A field of the metadata, to be compared. A list matches when any element does. */
export class Field {
  /** `path` as it is sent; see `field` and `fieldNamed`. */
  constructor(readonly path: string) {}

  /** Of the same type and equal. */
  equals(value: Scalar): Filter {
    return this.#compared(ComparisonOperator.EQUAL, value);
  }

  /** The opposite of `equals`: it also holds where the field is missing. */
  notEquals(value: Scalar): Filter {
    return this.#compared(ComparisonOperator.NOT_EQUAL, value);
  }

  lessThan(value: Scalar): Filter {
    return this.#compared(ComparisonOperator.LESS, value);
  }

  atMost(value: Scalar): Filter {
    return this.#compared(ComparisonOperator.LESS_OR_EQUAL, value);
  }

  greaterThan(value: Scalar): Filter {
    return this.#compared(ComparisonOperator.GREATER, value);
  }

  atLeast(value: Scalar): Filter {
    return this.#compared(ComparisonOperator.GREATER_OR_EQUAL, value);
  }

  /** Equal to any of the values; with none, nothing is. */
  oneOf(values: readonly Scalar[]): Filter {
    return filterOf({
      case: "membership",
      value: { $typeName: "tamis.v1.Membership", field: this.path, values: values.map(scalar) },
    });
  }

  /** The field is there, be it null. */
  exists(): Filter {
    return filterOf({ case: "existence", value: { $typeName: "tamis.v1.Existence", field: this.path } });
  }

  /** The least first. */
  ascending(): SortKey {
    return { field: this.path };
  }

  /** The greatest first. */
  descending(): SortKey {
    return { field: this.path, descending: true };
  }

  /** Adds `weight` to what is new, half of it after a half-life, in milliseconds. */
  recent(halfLifeMs: number, weight = 1): Boost {
    const recency = { field: this.path, halfLifeDuration: durationFromMs(Math.round(halfLifeMs)) };
    return { weight, kind: { case: "recency", value: recency } };
  }

  #compared(operator: ComparisonOperator, value: Scalar): Filter {
    return filterOf({
      case: "comparison",
      value: { $typeName: "tamis.v1.Comparison", field: this.path, operator, value: scalar(value) },
    });
  }
}

/** The field at a path: names separated by dots, `author.name`. For names that hold dots see `fieldNamed`. */
export function field(path: string): Field {
  return new Field(path);
}

/** The field at a path of names that are taken as they are, dots and backslashes included. */
export function fieldNamed(...names: string[]): Field {
  return new Field(names.map((each) => each.replaceAll("\\", "\\\\").replaceAll(".", "\\.")).join("."));
}

/** True where every filter is; everywhere when there are none. */
export function allOf(filters: readonly Filter[]): Filter {
  return joined("and", filters);
}

/** True where any filter is; nowhere when there are none. */
export function anyOf(filters: readonly Filter[]): Filter {
  return joined("or", filters);
}

/** Adds `weight`, -10 to 10 and not 0, where the condition holds. */
export function boostWhere(condition: Filter, weight = 1): Boost {
  return { weight, kind: { case: "condition", value: condition.message } };
}

/** Lists within lists of the same word are opened: `a.and(b).and(c)` is one list, not two nested ones. */
function joined(word: "and" | "or", filters: readonly Filter[]): Filter {
  const opened = filters.flatMap(({ message }) =>
    message.condition.case === word ? (message.condition.value as FilterList).filters : [message],
  );
  return filterOf({ case: word, value: { $typeName: "tamis.v1.FilterList", filters: opened } });
}

function filterOf(condition: FilterMessage["condition"]): Filter {
  return new Filter(create(FilterSchema, { condition }));
}

function scalar(value: Scalar) {
  if (typeof value === "object" && value !== null && !(value instanceof Date)) {
    throw new TypeError("a field is compared with one value; for several there is oneOf");
  }
  return fromValue(value);
}
