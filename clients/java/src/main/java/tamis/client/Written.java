package tamis.client;

/** What was acknowledged, and is durable. Wait for {@code sequence} to find it. */
public record Written(long sequence, int writtenCount, int unchangedCount) {
    Written plus(tamis.v1.IndexServiceOuterClass.WriteDocumentsResponse later) {
        return new Written(
                Math.max(sequence, later.getSequence()),
                writtenCount + later.getWrittenCount(),
                unchangedCount + later.getUnchangedCount());
    }
}
