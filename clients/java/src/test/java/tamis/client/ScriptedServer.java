package tamis.client;

import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import tamis.v1.IndexServiceGrpc;
import tamis.v1.IndexServiceOuterClass.CreateCollectionRequest;
import tamis.v1.IndexServiceOuterClass.CreateCollectionResponse;
import tamis.v1.IndexServiceOuterClass.DeleteDocumentsRequest;
import tamis.v1.IndexServiceOuterClass.DeleteDocumentsResponse;
import tamis.v1.IndexServiceOuterClass.WriteDocumentsRequest;
import tamis.v1.IndexServiceOuterClass.WriteDocumentsResponse;
import tamis.v1.SearchServiceGrpc;
import tamis.v1.SearchServiceOuterClass.BatchSearchRequest;
import tamis.v1.SearchServiceOuterClass.BatchSearchResponse;
import tamis.v1.SearchServiceOuterClass.SearchRequest;
import tamis.v1.SearchServiceOuterClass.SearchResponse;
import tamis.v1.SearchServiceOuterClass.StreamSearchRequest;
import tamis.v1.SearchServiceOuterClass.StreamSearchResponse;

/** A server that answers as it is told, for what a healthy one never does. */
final class ScriptedServer implements AutoCloseable {
    private static final Metadata.Key<String> PUSHBACK =
            Metadata.Key.of("grpc-retry-pushback-ms", Metadata.ASCII_STRING_MARSHALLER);
    private static final Metadata.Key<byte[]> DETAILS =
            Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

    /** One for each attempt, until there are none left; OK lets it pass. */
    final Queue<Status> failures = new ConcurrentLinkedQueue<>();

    final List<String> names = Collections.synchronizedList(new ArrayList<>());
    final List<StreamSearchResponse> events = new ArrayList<>();
    final List<BatchSearchResponse> answers = new ArrayList<>();

    /** What failures have in the place of a google.rpc.Status. */
    volatile byte[] details;

    /** Counted down by a search that is then never answered. */
    volatile CountDownLatch hanging;

    volatile int attempts;
    volatile Metadata headers;
    volatile Duration left;
    private final Server server;

    ScriptedServer() throws IOException {
        server = Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
                .addService(new Searches())
                .addService(new Indexes())
                .intercept(new Watching())
                .build()
                .start();
    }

    ClientBuilder client() {
        return Client.builder("127.0.0.1:" + server.getPort());
    }

    void fail(Status.Code code, int times) {
        failures.addAll(Collections.nCopies(times, code.toStatus()));
    }

    @Override
    public void close() {
        server.shutdownNow();
    }

    private <T> void answer(String name, StreamObserver<T> observer, T response) {
        if (passes(name, observer)) {
            observer.onNext(response);
            observer.onCompleted();
        }
    }

    private boolean passes(String name, StreamObserver<?> observer) {
        names.add(name);
        Status failure = failures.poll();
        if (failure == null || failure.isOk()) {
            return true;
        }
        Metadata trailers = new Metadata();
        if (failure.getCode() == Status.Code.UNAVAILABLE) { // gRPC for Java sends others again, too, when told when
            trailers.put(PUSHBACK, "1");
        }
        if (details != null) {
            trailers.put(DETAILS, details);
        }
        observer.onError(failure.asRuntimeException(trailers));
        return false;
    }

    private final class Searches extends SearchServiceGrpc.SearchServiceImplBase {
        @Override
        public void search(SearchRequest request, StreamObserver<SearchResponse> observer) {
            if (hanging != null) {
                hanging.countDown();
                return;
            }
            answer("", observer, SearchResponse.getDefaultInstance());
        }

        @Override
        public void batchSearch(BatchSearchRequest request, StreamObserver<BatchSearchResponse> observer) {
            answers.forEach(observer::onNext);
            observer.onCompleted();
        }

        @Override
        public void streamSearch(StreamSearchRequest request, StreamObserver<StreamSearchResponse> observer) {
            events.forEach(observer::onNext); // and stays open
        }
    }

    private final class Indexes extends IndexServiceGrpc.IndexServiceImplBase {
        @Override
        public void createCollection(CreateCollectionRequest request, StreamObserver<CreateCollectionResponse> observer) {
            answer("", observer, CreateCollectionResponse.getDefaultInstance());
        }

        @Override
        public void deleteDocuments(DeleteDocumentsRequest request, StreamObserver<DeleteDocumentsResponse> observer) {
            answer(request.getRequestId(), observer, DeleteDocumentsResponse.getDefaultInstance());
        }

        @Override
        public StreamObserver<WriteDocumentsRequest> writeDocuments(StreamObserver<WriteDocumentsResponse> observer) {
            return new StreamObserver<>() {
                private boolean hasFailed;

                @Override
                public void onNext(WriteDocumentsRequest request) {
                    hasFailed = hasFailed || !passes(request.getRequestId(), observer);
                    if (!hasFailed) {
                        observer.onNext(WriteDocumentsResponse.newBuilder()
                                .setSequence(names.size())
                                .setWrittenCount(request.getDocumentsCount())
                                .build());
                    }
                }

                @Override
                public void onError(Throwable failure) {}

                @Override
                public void onCompleted() {
                    if (!hasFailed) {
                        observer.onCompleted();
                    }
                }
            };
        }
    }

    private final class Watching implements ServerInterceptor {
        @Override
        public <Q, R> ServerCall.Listener<Q> interceptCall(
                ServerCall<Q, R> call, Metadata found, ServerCallHandler<Q, R> next) {
            attempts++;
            headers = found;
            Deadline deadline = Context.current().getDeadline();
            left = deadline == null ? null : Duration.ofMillis(deadline.timeRemaining(TimeUnit.MILLISECONDS));
            return next.startCall(call, found);
        }
    }
}
