import assert from "node:assert/strict";
import { test } from "node:test";
import { byteOffset, highlighted, textOf, utf16Range } from "tamis-client";

// One, two, three and four bytes; one and two UTF-16 units; combining marks, joined emoji, a byte order mark.
const TEXTS = [
  "",
  "plain",
  "Grüße",
  "e\u0301 und é",
  "日本語",
  "🎹 ja 👩‍👩‍👧‍👦!",
  "𝔘𝔫𝔦",
  "\ufeffmark",
  "a\u0000b",
  "𠀀é𠀀z",
];

test("a span between any two characters is the slice between the same two", () => {
  for (const text of TEXTS) {
    const borders = [0];
    for (const character of text) borders.push((borders.at(-1) ?? 0) + character.length);
    for (const start of borders) {
      for (const end of borders.filter((each) => each >= start)) {
        const span = { start: byteOffset(text, start), end: byteOffset(text, end) };
        assert.equal(span.end - span.start, new TextEncoder().encode(text.slice(start, end)).length);
        assert.deepEqual(utf16Range(span, text), [start, end]);
        assert.equal(textOf(span, text), text.slice(start, end));
      }
    }
  }
});

test("an emoji is four bytes and two units", () => {
  const text = "🎹 Grüße";
  assert.deepEqual(utf16Range({ start: 5, end: 12 }, text), [3, 8]);
  assert.equal(text.slice(...utf16Range({ start: 5, end: 12 }, text)), "Grüße");
});

test("what cuts a character or lies outside is refused", () => {
  for (const span of [
    { start: 1, end: 4 },
    { start: 0, end: 3 },
    { start: 0, end: 6 },
    { start: 4, end: 0 },
    { start: -1, end: 4 },
  ]) {
    assert.throws(() => utf16Range(span, "🎹x"), RangeError);
    assert.throws(() => textOf(span, "🎹x"), RangeError);
  }
  for (const index of [1, 4, -1, 0.5]) assert.throws(() => byteOffset("🎹x", index), RangeError);
});

test("a highlighted snippet falls into pieces that join to it again", () => {
  const snippet = "🎹 plays 🎹";
  const snippetHighlights = [
    { start: 0, end: 4 },
    { start: 11, end: 15 },
  ];
  const pieces = highlighted({ snippet, snippetHighlights });
  assert.deepEqual(pieces, [
    { text: "🎹", isHighlighted: true },
    { text: " plays ", isHighlighted: false },
    { text: "🎹", isHighlighted: true },
  ]);
  assert.deepEqual(highlighted({ snippet, snippetHighlights: [] }), [{ text: snippet, isHighlighted: false }]);
  assert.deepEqual(highlighted({ snippet: "", snippetHighlights: [] }), []);
});
