package tamis.client;

import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Stream;
import tamis.v1.IndexServiceOuterClass.DeleteDocumentsRequest;
import tamis.v1.IndexServiceOuterClass.PatchMetadataRequest;
import tamis.v1.IndexServiceOuterClass.WriteDocumentsRequest;

/**
 * gRPC's own policy (gRFC A6): only what met no server is sent again, or a proxy that says UNAVAILABLE in its place, and
 * only calls that may be made twice. A Tamis server sends headers first, after which gRPC sends nothing again: what it
 * refuses itself comes back with its retryAfter. All calls of a client share the tokens: each UNAVAILABLE takes one, each
 * success returns a tenth, and while ten or fewer are left nothing is sent again.
 */
final class Retries {
    private static final List<String> INDEX_METHODS = List.of(
            "GetCollection",
            "ListCollections",
            "GetDocument",
            "ListDocuments",
            "DeleteDocuments",
            "PatchMetadata",
            "ListDeadLetters",
            "WaitIndexed",
            "WriteDocuments");

    static final Map<String, ?> SERVICE_CONFIG = Map.of(
            "methodConfig",
            List.of(Map.of(
                    "name",
                    Stream.concat(
                                    Stream.of(
                                            Map.of("service", "tamis.v1.SearchService"),
                                            Map.of("service", "tamis.v1.CatalogService")),
                                    INDEX_METHODS.stream()
                                            .map(each -> Map.of("service", "tamis.v1.IndexService", "method", each)))
                            .toList(),
                    "retryPolicy",
                    Map.of(
                            "maxAttempts", 5.0,
                            "initialBackoff", "0.2s",
                            "maxBackoff", "5s",
                            "backoffMultiplier", 2.0,
                            "retryableStatusCodes", List.of("UNAVAILABLE")))),
            "retryThrottling",
            Map.of("maxTokens", 20.0, "tokenRatio", 0.1));

    private Retries() {}

    /** Gives a request that changes documents a name, by which the server does it once however often it comes. */
    @SuppressWarnings("unchecked")
    static <Q> Q named(Q request) {
        if (request instanceof DeleteDocumentsRequest deletion && deletion.getRequestId().isEmpty()) {
            return (Q) deletion.toBuilder().setRequestId(newRequestId()).build();
        }
        if (request instanceof PatchMetadataRequest patch && patch.getRequestId().isEmpty()) {
            return (Q) patch.toBuilder().setRequestId(newRequestId()).build();
        }
        if (request instanceof WriteDocumentsRequest write && write.getRequestId().isEmpty()) {
            return (Q) write.toBuilder().setRequestId(newRequestId()).build();
        }
        return request;
    }

    static String newRequestId() {
        return UUID.randomUUID().toString();
    }
}
