package tamis.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tamis.v1.PassageOuterClass.ByteSpan;
import tamis.v1.PassageOuterClass.Hit;

class SpansTest {
    /** A combining mark, an emoji of two code points, a letter beyond the first plane, an accented letter. */
    private static final String TEXT = "a\u0301 👶🏽 𝒳 Zoë";

    @ParameterizedTest
    @CsvSource({"0, 3, 0, 2, a\u0301", "4, 12, 3, 7, 👶🏽", "13, 17, 8, 10, 𝒳", "18, 22, 11, 14, Zoë", "22, 22, 14, 14, ''"})
    void bytesAreCountedInUnitsOfUtf16(int firstByte, int lastByte, int start, int end, String part) {
        ByteSpan span = span(firstByte, lastByte);
        assertEquals(new Spans.Range(start, end), Spans.range(span, TEXT));
        assertEquals(part, Spans.textOf(span, TEXT));
        assertEquals(part, TEXT.substring(start, end));
    }

    @ParameterizedTest
    @CsvSource({"5, 8", "4, 5", "2, 3", "0, 23", "23, 23", "4, 0", "-1, 0"})
    void aSpanOfAnotherTextIsRefused(int firstByte, int lastByte) {
        assertThrows(IndexOutOfBoundsException.class, () -> Spans.range(span(firstByte, lastByte), TEXT));
    }

    @Test
    void aSnippetComesInPieces() {
        Hit hit = Hit.newBuilder()
                .setSnippet("👶 leave, paid")
                .addSnippetHighlights(span(0, 4))
                .addSnippetHighlights(span(5, 10))
                .build();
        List<Spans.Piece> wanted = List.of(
                new Spans.Piece("👶", true),
                new Spans.Piece(" ", false),
                new Spans.Piece("leave", true),
                new Spans.Piece(", paid", false));
        assertEquals(wanted, Spans.highlighted(hit));
        assertEquals(List.of(), Spans.highlighted(Hit.getDefaultInstance()));
    }

    private static ByteSpan span(int start, int end) {
        return ByteSpan.newBuilder().setStart(start).setEnd(end).build();
    }
}
