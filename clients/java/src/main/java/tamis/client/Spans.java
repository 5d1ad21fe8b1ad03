package tamis.client;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import tamis.v1.PassageOuterClass.ByteSpan;
import tamis.v1.PassageOuterClass.Hit;

/** Byte spans of the wire in Java's units. They count bytes of UTF-8; Java's strings count units of UTF-16. */
public final class Spans {
    private Spans() {}

    /** Indices into a String: {@code text.substring(range.start(), range.end())}. */
    public record Range(int start, int end) {}

    /** A piece of a snippet, and whether the query asked for it. */
    public record Piece(String text, boolean isHighlighted) {}

    /**
     * The same span in units of UTF-16.
     *
     * @throws IndexOutOfBoundsException for one that lies outside or cuts a character: it counts in another text
     */
    public static Range range(ByteSpan span, String text) {
        int start = index(text, 0, span.getStart());
        return new Range(start, index(text, start, span.getEnd() - span.getStart()));
    }

    /** The part of the text that a span covers. Throws as {@link #range}. */
    public static String textOf(ByteSpan span, String text) {
        Range range = range(span, text);
        return text.substring(range.start(), range.end());
    }

    /** The snippet of a hit in pieces. */
    public static List<Piece> highlighted(Hit hit) {
        List<Piece> pieces = new ArrayList<>();
        byte[] bytes = hit.getSnippetBytes().toByteArray();
        int at = 0;
        for (ByteSpan each : hit.getSnippetHighlightsList()) {
            add(pieces, bytes, at, each.getStart(), false);
            add(pieces, bytes, each.getStart(), each.getEnd(), true);
            at = each.getEnd();
        }
        add(pieces, bytes, at, bytes.length, false);
        return pieces;
    }

    private static void add(List<Piece> pieces, byte[] bytes, int start, int end, boolean isHighlighted) {
        if (end > start) {
            pieces.add(new Piece(new String(bytes, start, end - start, StandardCharsets.UTF_8), isHighlighted));
        }
    }

    /** The index that lies so many bytes behind another one. */
    private static int index(String text, int from, int bytes) {
        int at = from;
        int left = bytes;
        while (left > 0) {
            int character = text.codePointAt(at);
            left -= character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
            at += Character.charCount(character);
        }
        if (left != 0) {
            throw new IndexOutOfBoundsException("a span begins or ends in the middle of a character, or before its start");
        }
        return at;
    }
}
