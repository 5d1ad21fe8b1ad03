package tamis.client;

import io.grpc.Status;
import java.util.Map;
import java.util.Optional;
import tamis.v1.SearchServiceOuterClass.BatchSearchResponse;
import tamis.v1.SearchServiceOuterClass.SearchFailure;
import tamis.v1.SearchServiceOuterClass.SearchResponse;

/** What became of one of several searches: a response, or a failure, which does not fail the others. */
public record Outcome(Optional<SearchResponse> response, Optional<CallException> failure) {
    static Outcome of(BatchSearchResponse message) {
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
