package tamis.client;

import java.util.List;
import tamis.v1.PassageOuterClass.Citation;
import tamis.v1.PassageOuterClass.FinishReason;
import tamis.v1.PassageOuterClass.Hit;
import tamis.v1.PassageOuterClass.StageReport;
import tamis.v1.SearchServiceOuterClass;

/** What a stream gives. */
public sealed interface Event {
    /** Replaces all hits of the revisions before. Passages are whole in each, though the wire sends them once. */
    record HitsRevised(int revision, String stage, List<Hit> hits) implements Event {}

    /** A stage has ended, and how. */
    record StageCompleted(StageReport report) implements Event {}

    /** The next piece of the answer, with the evidence that became known with it. */
    record AnswerDelta(String text, List<Citation> citations) implements Event {}

    /** The last event of a stream that ends well; {@code details} has reports, usage, facets and the next page. */
    record Completed(FinishReason finishReason, int revision, SearchServiceOuterClass.Completed details)
            implements Event {}
}
