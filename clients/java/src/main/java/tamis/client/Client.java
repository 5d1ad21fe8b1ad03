package tamis.client;

import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import tamis.v1.CatalogServiceGrpc;
import tamis.v1.CatalogServiceOuterClass.GetServerInfoRequest;
import tamis.v1.CatalogServiceOuterClass.GetServerInfoResponse;
import tamis.v1.CatalogServiceOuterClass.ListPipelinesRequest;
import tamis.v1.CatalogServiceOuterClass.ListPluginsRequest;
import tamis.v1.CatalogServiceOuterClass.Pipeline;
import tamis.v1.CatalogServiceOuterClass.Plugin;
import tamis.v1.IndexServiceGrpc;
import tamis.v1.IndexServiceOuterClass.Collection;
import tamis.v1.IndexServiceOuterClass.CreateCollectionRequest;
import tamis.v1.IndexServiceOuterClass.DeadLetter;
import tamis.v1.IndexServiceOuterClass.DeleteCollectionRequest;
import tamis.v1.IndexServiceOuterClass.DeleteDocumentsRequest;
import tamis.v1.IndexServiceOuterClass.DeleteDocumentsResponse;
import tamis.v1.IndexServiceOuterClass.GetCollectionRequest;
import tamis.v1.IndexServiceOuterClass.GetDocumentRequest;
import tamis.v1.IndexServiceOuterClass.IndexState;
import tamis.v1.IndexServiceOuterClass.ListCollectionsRequest;
import tamis.v1.IndexServiceOuterClass.ListDeadLettersRequest;
import tamis.v1.IndexServiceOuterClass.ListDocumentsRequest;
import tamis.v1.IndexServiceOuterClass.PatchMetadataRequest;
import tamis.v1.IndexServiceOuterClass.PatchMetadataResponse;
import tamis.v1.IndexServiceOuterClass.RetryDeadLettersRequest;
import tamis.v1.IndexServiceOuterClass.RetryDeadLettersResponse;
import tamis.v1.IndexServiceOuterClass.WaitIndexedRequest;
import tamis.v1.PassageOuterClass.Document;
import tamis.v1.PassageOuterClass.Passage;
import tamis.v1.SearchServiceGrpc;
import tamis.v1.SearchServiceOuterClass.BatchSearchRequest;
import tamis.v1.SearchServiceOuterClass.BatchSearchResponse;
import tamis.v1.SearchServiceOuterClass.GenerateRequest;
import tamis.v1.SearchServiceOuterClass.RerankRequest;
import tamis.v1.SearchServiceOuterClass.RerankResponse;
import tamis.v1.SearchServiceOuterClass.RetrieveRequest;
import tamis.v1.SearchServiceOuterClass.RetrieveResponse;
import tamis.v1.SearchServiceOuterClass.SearchRequest;
import tamis.v1.SearchServiceOuterClass.SearchResponse;
import tamis.v1.SearchServiceOuterClass.StreamRerankRequest;
import tamis.v1.SearchServiceOuterClass.StreamSearchRequest;

/**
 * A connection to a server. Thread-safe; its methods throw {@link CallException}.
 *
 * <p>Every call has a deadline: that of gRPC's current Context, or else the timeout of the client. Of a search it is the
 * budget that the server spends. Requests and responses are the generated messages of {@code tamis.v1}.
 */
public final class Client implements AutoCloseable {
    private static final int PAGE_SIZE = 100;

    private final ManagedChannel connection;
    private final Stamps stamps;
    private final Channel channel;

    Client(ManagedChannel connection, Stamps stamps) {
        this.connection = connection;
        this.stamps = stamps;
        this.channel = ClientInterceptors.intercept(connection, stamps);
    }

    /** A client of the server at {@code HOST:PORT}, as it is without further settings. */
    public static Client of(String address) {
        return builder(address).build();
    }

    /** A client of the server at {@code HOST:PORT}, to be told more. */
    public static ClientBuilder builder(String address) {
        return new ClientBuilder(address);
    }

    /** The same connection with another timeout, for writing and waiting too. Closing either closes it. */
    public Client withTimeout(Duration timeout) {
        Duration found = ClientBuilder.checked(timeout);
        return new Client(connection, new Stamps(found, found, stamps.token(), stamps.metadata(), stamps.isClosed()));
    }

    /** For stubs of your own making. Calls over it have the same deadlines and retries, and throw what gRPC throws. */
    public Channel channel() {
        return channel;
    }

    /** Ends the calls under way, which throw with the code CANCELLED, and the connection. May be called twice. */
    @Override
    public void close() {
        connection.shutdownNow();
    }

    /** Runs a whole pipeline: hits and, where it has a generator, an answer. */
    public SearchResponse search(SearchRequest request) {
        return called(() -> searching().search(request));
    }

    /** Runs the retrieving part of a pipeline. */
    public RetrieveResponse retrieve(RetrieveRequest request) {
        return called(() -> searching().retrieve(request));
    }

    /** Retrieves one page after another, to the end of what the pipeline finds. */
    public Iterable<RetrieveResponse> pages(RetrieveRequest request) {
        return Pages.of(token -> {
            RetrieveResponse page = retrieve(
                    token.isEmpty() ? request : request.toBuilder().setPageToken(token).build());
            return new Pages.Page<>(List.of(page), page.getNextPageToken());
        });
    }

    /** The events of a search as they come. */
    public EventStream streamSearch(StreamSearchRequest request) {
        return EventStream.of(() -> searching().streamSearch(request), List.of());
    }

    /** Runs several searches, at most 100, side by side. What became of each, in their order. */
    public List<Outcome> batchSearch(List<SearchRequest> requests) {
        BatchSearchRequest request = BatchSearchRequest.newBuilder().addAllRequests(requests).build();
        List<BatchSearchResponse> found = new ArrayList<>();
        called(() -> {
            searching().batchSearch(request).forEachRemaining(found::add);
            return null;
        });
        return Outcome.of(found, requests.size());
    }

    /** Orders passages of yours by the rerankers of a pipeline. The hits have the passages of the request. */
    public RerankResponse rerank(RerankRequest request) {
        RerankResponse response = called(() -> searching().rerank(request));
        Map<String, Passage> known = request.getPassagesList().stream().collect(Collectors.toMap(Passage::getId, it -> it));
        var hits = EventStream.filled(response.getHitsList(), known);
        return response.toBuilder().clearHits().addAllHits(hits).build();
    }

    /** The events of a reranking as they come. */
    public EventStream streamRerank(StreamRerankRequest request) {
        return EventStream.of(() -> searching().streamRerank(request), request.getPassagesList());
    }

    /** An answer from passages of yours, best first, as it is written. */
    public EventStream generate(GenerateRequest request) {
        return EventStream.of(() -> searching().generate(request), List.of());
    }

    /**
     * Writes documents, or new versions of them, and returns once all are durable. They travel in batches, of which the
     * server writes each whole or not at all. After an exception writing all of it again is safe: what has not changed
     * costs nothing. Every thousand documents have 60 seconds, or the builder's timeout where it is longer.
     */
    public Written write(String collection, Iterable<Document> documents) {
        return new Writing(IndexServiceGrpc.newStub(channel), collection).write(documents);
    }

    /** Returns once everything up to a sequence can be found; 0 stands for everything written so far. */
    public List<IndexState> waitIndexed(String collection, long sequence) {
        var request = WaitIndexedRequest.newBuilder().setCollection(collection).setSequence(sequence).build();
        return called(() -> indexing().waitIndexed(request)).getIndexesList();
    }

    /** Throws with the reason ALREADY_EXISTS if there is one of that id. Not sent again. */
    public Collection createCollection(CreateCollectionRequest request) {
        return called(() -> indexing().createCollection(request)).getCollection();
    }

    /** Throws with the reason NOT_FOUND if there is none of that id. */
    public Collection collection(String collection) {
        var request = GetCollectionRequest.newBuilder().setCollection(collection).build();
        return called(() -> indexing().getCollection(request)).getCollection();
    }

    /** All of them, by id. */
    public Iterable<Collection> collections() {
        var request = ListCollectionsRequest.newBuilder().setPageSize(PAGE_SIZE).build();
        return Pages.of(token -> {
            var page = called(() -> indexing().listCollections(request.toBuilder().setPageToken(token).build()));
            return new Pages.Page<>(page.getCollectionsList(), page.getNextPageToken());
        });
    }

    /** With all that is in it. Not sent again. */
    public void deleteCollection(String collection) {
        var request = DeleteCollectionRequest.newBuilder().setCollection(collection).build();
        called(() -> indexing().deleteCollection(request));
    }

    /** Throws with the reason NOT_FOUND if there is none of that id. */
    public Document document(String collection, String document) {
        var request = GetDocumentRequest.newBuilder().setCollection(collection).setDocumentId(document).build();
        return called(() -> indexing().getDocument(request)).getDocument();
    }

    /** All of them, by id, without their texts. */
    public Iterable<Document> documents(String collection) {
        var request = ListDocumentsRequest.newBuilder().setCollection(collection).setPageSize(PAGE_SIZE).build();
        return Pages.of(token -> {
            var page = called(() -> indexing().listDocuments(request.toBuilder().setPageToken(token).build()));
            return new Pages.Page<>(page.getDocumentsList(), page.getNextPageToken());
        });
    }

    /** Deletes by ids, at most 1,000, or by a filter, all or none. Sent again under its request id, made up if empty. */
    public DeleteDocumentsResponse deleteDocuments(DeleteDocumentsRequest request) {
        return called(() -> indexing().deleteDocuments(request));
    }

    /** Changes the metadata of at most 1,000 documents, all or none. Sent again as deleteDocuments is. */
    public PatchMetadataResponse patchMetadata(PatchMetadataRequest request) {
        return called(() -> indexing().patchMetadata(request));
    }

    /** The documents that an index could not take. */
    public Iterable<DeadLetter> deadLetters(String collection) {
        var request = ListDeadLettersRequest.newBuilder().setCollection(collection).setPageSize(PAGE_SIZE).build();
        return Pages.of(token -> {
            var page = called(() -> indexing().listDeadLetters(request.toBuilder().setPageToken(token).build()));
            return new Pages.Page<>(page.getDeadLettersList(), page.getNextPageToken());
        });
    }

    /** Has the indexes try again; all dead letters without ids. Not sent again. */
    public RetryDeadLettersResponse retryDeadLetters(String collection, String... documents) {
        var request = RetryDeadLettersRequest.newBuilder()
                .setCollection(collection)
                .addAllDocumentIds(List.of(documents))
                .build();
        return called(() -> indexing().retryDeadLetters(request));
    }

    /** The configured ones, by name. */
    public Iterable<Pipeline> pipelines() {
        return Pages.of(token -> {
            var request = ListPipelinesRequest.newBuilder().setPageToken(token).build();
            var page = called(() -> CatalogServiceGrpc.newBlockingStub(channel).listPipelines(request));
            return new Pages.Page<>(page.getPipelinesList(), page.getNextPageToken());
        });
    }

    /** The installed ones, by group and name. */
    public Iterable<Plugin> plugins() {
        return Pages.of(token -> {
            var request = ListPluginsRequest.newBuilder().setPageToken(token).build();
            var page = called(() -> CatalogServiceGrpc.newBlockingStub(channel).listPlugins(request));
            return new Pages.Page<>(page.getPluginsList(), page.getNextPageToken());
        });
    }

    /** The server's version and limits. */
    public GetServerInfoResponse serverInfo() {
        var request = GetServerInfoRequest.getDefaultInstance();
        return called(() -> CatalogServiceGrpc.newBlockingStub(channel).getServerInfo(request));
    }

    private SearchServiceGrpc.SearchServiceBlockingStub searching() {
        return SearchServiceGrpc.newBlockingStub(channel);
    }

    private IndexServiceGrpc.IndexServiceBlockingStub indexing() {
        return IndexServiceGrpc.newBlockingStub(channel);
    }

    private static <T> T called(Supplier<T> call) {
        try {
            return call.get();
        } catch (StatusRuntimeException failure) {
            throw CallException.of(failure);
        }
    }
}
