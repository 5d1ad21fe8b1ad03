/** Byte spans of the wire in JavaScript's units, which are UTF-16 code units. */

/** A half-open range of UTF-8 bytes that never cuts a character. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The part of `text` that a span covers. Throws `RangeError` for one that lies outside or cuts a character. */
export function textOf(span: Span, text: string): string {
  const bytes = checked(span, text);
  return bytes.toString("utf8", span.start, span.end);
}

/**
 * The same part in UTF-16 code units: `text.slice(...utf16Range(span, text))` is `textOf(span, text)`.
 * Throws as `textOf`.
 */
export function utf16Range(span: Span, text: string): [start: number, end: number] {
  const bytes = checked(span, text);
  const start = bytes.toString("utf8", 0, span.start).length;
  return [start, start + bytes.toString("utf8", span.start, span.end).length];
}

/** The other way round: how many bytes of UTF-8 stand before an index of `text`. Throws `RangeError` as `textOf`. */
export function byteOffset(text: string, index: number): number {
  if (!Number.isInteger(index) || index < 0 || index > text.length) {
    throw new RangeError(`${index} is no index of a text of ${text.length} UTF-16 code units`);
  }
  if (isLow(text.charCodeAt(index)) && isHigh(text.charCodeAt(index - 1))) {
    throw new RangeError(`the index ${index} is in the middle of a character`);
  }
  return Buffer.byteLength(text.slice(0, index));
}

/** A piece of a snippet, and whether the query asked for it. */
export interface Piece {
  readonly text: string;
  readonly isHighlighted: boolean;
}

/** The snippet of a hit in pieces. */
export function highlighted(hit: { readonly snippet: string; readonly snippetHighlights: readonly Span[] }): Piece[] {
  const bytes = Buffer.from(hit.snippet);
  const borders = [0, ...hit.snippetHighlights.flatMap(({ start, end }) => [start, end]), bytes.length];
  return borders
    .slice(1)
    .map((end, at) => ({ text: bytes.toString("utf8", borders[at], end), isHighlighted: at % 2 === 1 }))
    .filter((piece) => piece.text);
}

function checked(span: Span, text: string): Buffer {
  const bytes = Buffer.from(text);
  if (!(0 <= span.start && span.start <= span.end && span.end <= bytes.length)) {
    throw new RangeError(`the span ${span.start}-${span.end} is outside a text of ${bytes.length} bytes`);
  }
  for (const border of [span.start, span.end]) {
    const byte = bytes[border];
    if (byte !== undefined && (byte & 0xc0) === 0x80) {
      throw new RangeError(`the byte ${border} is in the middle of a character`);
    }
  }
  return bytes;
}

const isHigh = (unit: number) => unit >= 0xd800 && unit < 0xdc00;
const isLow = (unit: number) => unit >= 0xdc00 && unit < 0xe000;
