package tamis

import (
	"unicode/utf8"

	"tamis.example/tamis/tamisv1"
)

// TextOf is the part of a text that a span covers. Spans count bytes of UTF-8, as Go's strings do. It panics, as slicing
// does, for a span that lies outside: that text is not the one that the span counts in.
func TextOf(span *tamisv1.ByteSpan, text string) string { return text[span.GetStart():span.GetEnd()] }

// Runes is the same span counted in runes, for what counts so.
func Runes(span *tamisv1.ByteSpan, text string) (start, end int) {
	start = utf8.RuneCountInString(text[:span.GetStart()])
	return start, start + utf8.RuneCountInString(TextOf(span, text))
}

// A Piece of a snippet, and whether the query asked for it.
type Piece struct {
	Text          string
	IsHighlighted bool
}

// Highlighted is the snippet of a hit in pieces.
func Highlighted(hit *tamisv1.Hit) []Piece {
	var pieces []Piece
	at, snippet := int32(0), hit.GetSnippet()
	add := func(end int32, isHighlighted bool) {
		if end > at {
			pieces = append(pieces, Piece{snippet[at:end], isHighlighted})
			at = end
		}
	}
	for _, each := range hit.GetSnippetHighlights() {
		add(each.GetStart(), false)
		add(each.GetEnd(), true)
	}
	add(int32(len(snippet)), false)
	return pieces
}
