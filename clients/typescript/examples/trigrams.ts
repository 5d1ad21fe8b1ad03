/**
 * How much of a query's spelling stands in a text: the share of its character n-grams that the text has, 0 to 1.
 *
 * It forgives typing errors and endings, and knows nothing of meaning. A longer text has more n-grams, and so finds it
 * easier: compare passages of similar length.
 */

const LONGEST = 20_000; // characters; of a longer text the beginning is read

/** The distinct n-grams of a text's words, each with the borders of its word; `size` counts characters. */
export function ngrams(text: string, size: number): Set<string> {
  const found = new Set<string>();
  const plain = text.slice(0, LONGEST).normalize("NFKC").toLowerCase();
  for (const [word] of plain.matchAll(/[\p{L}\p{N}\p{M}]+|\p{Emoji_Presentation}/gu)) {
    const characters = [" ", ...word, " "];
    for (let at = 0; at <= Math.max(0, characters.length - size); at++) {
      found.add(characters.slice(at, at + size).join(""));
    }
  }
  return found;
}

/** The share of a query's n-grams that a text has; 0 for a query that has none. */
export function overlap(query: ReadonlySet<string>, text: string, size: number): number {
  if (query.size === 0) return 0;
  const found = ngrams(text, size);
  let count = 0;
  for (const each of query) if (found.has(each)) count += 1;
  return count / query.size;
}
