package tamis.client;

import io.grpc.Context;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import tamis.v1.IndexServiceGrpc.IndexServiceStub;
import tamis.v1.IndexServiceOuterClass.WriteDocumentsRequest;
import tamis.v1.IndexServiceOuterClass.WriteDocumentsResponse;
import tamis.v1.PassageOuterClass.Document;

/** Writes documents in batches, each under a request id, over one stream after another. */
final class Writing {
    private static final int BATCH_DOCUMENTS = 64;
    private static final int BATCH_BYTES = 4 << 20;
    private static final int STREAM_BATCHES = 16; // what one deadline is for

    private final IndexServiceStub stub;
    private final String collection;
    private final List<WriteDocumentsRequest> batches = new ArrayList<>();
    private Written total = new Written(0, 0, 0);

    Writing(IndexServiceStub stub, String collection) {
        this.stub = stub;
        this.collection = collection;
    }

    Written write(Iterable<Document> documents) {
        WriteDocumentsRequest.Builder batch = newBatch();
        int bytes = 0;
        for (Document each : documents) {
            int size = each.getSerializedSize();
            boolean isFull = batch.getDocumentsCount() == BATCH_DOCUMENTS || bytes + size > BATCH_BYTES;
            if (isFull && batch.getDocumentsCount() > 0) {
                add(batch);
                batch = newBatch();
                bytes = 0;
            }
            batch.addDocuments(each);
            bytes += size;
        }
        if (batch.getDocumentsCount() > 0) {
            add(batch);
        }
        send();
        return total;
    }

    private WriteDocumentsRequest.Builder newBatch() {
        return WriteDocumentsRequest.newBuilder().setCollection(collection).setRequestId(Retries.newRequestId());
    }

    private void add(WriteDocumentsRequest.Builder batch) {
        batches.add(batch.build());
        if (batches.size() == STREAM_BATCHES) {
            send();
        }
    }

    private void send() {
        if (batches.isEmpty()) {
            return;
        }
        Context.CancellableContext context = Context.current().withCancellation();
        CompletableFuture<Written> done = new CompletableFuture<>();
        try {
            context.run(() -> {
                StreamObserver<WriteDocumentsRequest> requests = stub.writeDocuments(new Acknowledgements(total, done));
                batches.forEach(requests::onNext);
                requests.onCompleted();
            });
            total = done.get();
        } catch (ExecutionException failure) {
            throw CallException.of(Status.fromThrowable(failure.getCause())
                    .asRuntimeException(Status.trailersFromThrowable(failure.getCause())));
        } catch (InterruptedException interruption) {
            Thread.currentThread().interrupt();
            throw CallException.of(Status.CANCELLED.withDescription("interrupted"));
        } finally {
            context.cancel(null);
        }
        batches.clear();
    }

    private static final class Acknowledgements implements StreamObserver<WriteDocumentsResponse> {
        private final CompletableFuture<Written> done;
        private Written total;

        Acknowledgements(Written total, CompletableFuture<Written> done) {
            this.total = total;
            this.done = done;
        }

        @Override
        public void onNext(WriteDocumentsResponse each) {
            total = total.plus(each);
        }

        @Override
        public void onError(Throwable failure) {
            done.completeExceptionally(failure);
        }

        @Override
        public void onCompleted() {
            done.complete(total);
        }
    }
}
