package tamis.client;

import io.grpc.Status;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tamis.v1.SearchServiceOuterClass.BatchSearchResponse;
import tamis.v1.SearchServiceOuterClass.SearchFailure;
import tamis.v1.SearchServiceOuterClass.SearchResponse;

/** What became of one of several searches: a response, or a failure, which does not fail the others. */
public record Outcome(Optional<SearchResponse> response, Optional<CallException> failure) {
    /** In the order of the searches. One of which the server says nothing that this client knows is a failure. */
    static List<Outcome> of(List<BatchSearchResponse> messages, int count) {
        Outcome[] found = new Outcome[count];
        for (BatchSearchResponse each : messages) {
            int place = each.getRequestIndex();
            if (place < 0 || place >= count) {
                throw CallException.of(
                        Status.INTERNAL.withDescription("the server answered a search " + place + " of " + count));
            }
            found[place] = of(each);
        }
        return Arrays.stream(found).map(each -> each == null ? unanswered() : each).toList();
    }

    private static Outcome unanswered() {
        CallException failure = CallException.of(Status.INTERNAL.withDescription("the server did not answer this search"));
        return new Outcome(Optional.empty(), Optional.of(failure));
    }

    private static Outcome of(BatchSearchResponse message) {
        if (message.getResultCase() == BatchSearchResponse.ResultCase.RESULT_NOT_SET) {
            return unanswered();
        }
        if (message.hasResponse()) {
            return new Outcome(Optional.of(message.getResponse()), Optional.empty());
        }
        SearchFailure told = message.getFailure();
        return new Outcome(
                Optional.empty(),
                Optional.of(new CallException(
                        Status.fromCodeValue(told.getCode()).withDescription(told.getMessage()),
                        told.getReason(),
                        Map.of(),
                        told.getViolationsList().stream().map(CallException.Violation::of).toList(),
                        null,
                        null)));
    }
}
