package tamis.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Context;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Metadata;
import io.grpc.Status;
import java.io.IOException;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import tamis.v1.IndexServiceGrpc;
import tamis.v1.IndexServiceOuterClass.CreateCollectionRequest;
import tamis.v1.IndexServiceOuterClass.DeleteDocumentsRequest;
import tamis.v1.PassageOuterClass.Document;
import tamis.v1.PassageOuterClass.Hit;
import tamis.v1.PassageOuterClass.Passage;
import tamis.v1.SearchServiceOuterClass.BatchSearchResponse;
import tamis.v1.SearchServiceOuterClass.HitsRevised;
import tamis.v1.SearchServiceOuterClass.SearchRequest;
import tamis.v1.SearchServiceOuterClass.SearchResponse;
import tamis.v1.SearchServiceOuterClass.StreamSearchRequest;
import tamis.v1.SearchServiceOuterClass.StreamSearchResponse;

class RetriesTest {
    private static final SearchRequest SEARCH = SearchRequest.getDefaultInstance();

    private ScriptedServer server;
    private Client client;

    @BeforeEach
    void start() throws IOException {
        server = new ScriptedServer();
        client = server.client().build();
    }

    @AfterEach
    void stop() {
        client.close();
        server.close();
    }

    @Test
    void aCallThatMeetsNoServerIsSentAgain() {
        server.fail(Status.Code.UNAVAILABLE, 2);
        client.search(SEARCH);
        assertEquals(3, server.attempts);
    }

    @ParameterizedTest
    @EnumSource(
            value = Status.Code.class,
            names = {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL"})
    void whatPassedItsDeadlineOrWasRefusedIsNot(Status.Code code) {
        server.fail(code, 1);
        CallException failure = assertThrows(CallException.class, () -> client.search(SEARCH));
        assertEquals(code, failure.code());
        assertEquals("", failure.reason());
        assertEquals(1, server.attempts);
    }

    @Test
    void whatMayNotBeDoneTwiceIsSentOnce() {
        server.fail(Status.Code.UNAVAILABLE, 1);
        var request = CreateCollectionRequest.getDefaultInstance();
        assertThrows(CallException.class, () -> client.createCollection(request));
        assertEquals(1, server.attempts);
    }

    @Test
    void withoutRetriesNothingIsSentAgain() {
        server.fail(Status.Code.UNAVAILABLE, 1);
        try (Client once = server.client().withoutRetries().build()) {
            assertThrows(CallException.class, () -> once.search(SEARCH));
        }
        assertEquals(1, server.attempts);
    }

    @Test
    void theCallsOfAClientShareABudget() {
        server.fail(Status.Code.UNAVAILABLE, 100);
        for (int call = 0; call < 10; call++) {
            assertThrows(CallException.class, () -> client.search(SEARCH));
        }
        assertEquals(18, server.attempts); // five, five, and one for each call once ten tokens are gone
    }

    @Test
    void aDeletionSentAgainHasOneName() {
        server.fail(Status.Code.UNAVAILABLE, 1);
        client.deleteDocuments(DeleteDocumentsRequest.newBuilder().addDocumentIds("a").build());
        assertEquals(2, server.names.size());
        assertEquals(server.names.get(0), server.names.get(1));
        assertFalse(server.names.get(0).isEmpty());
    }

    @Test
    void aDeletionOverAStubOfYourOwnHasANameToo() {
        server.fail(Status.Code.UNAVAILABLE, 1);
        IndexServiceGrpc.newBlockingStub(client.channel()).deleteDocuments(DeleteDocumentsRequest.getDefaultInstance());
        assertEquals(server.names.get(0), server.names.get(1));
        assertFalse(server.names.get(0).isEmpty());
    }

    @Test
    void writesGoInNamedBatchesOverOneStreamAfterAnother() {
        Written written = client.write("docs", documents(64 * 16 + 1));
        assertEquals(new Written(17, 64 * 16 + 1, 0), written);
        assertEquals(2, server.attempts);
        assertEquals(17, new HashSet<>(server.names).size());
        assertFalse(server.names.contains(""));
    }

    @Test
    void aBrokenWriteSaysWhy() {
        server.failures.add(Status.OK);
        server.fail(Status.Code.RESOURCE_EXHAUSTED, 1);
        CallException failure = assertThrows(CallException.class, () -> client.write("docs", documents(65)));
        assertEquals(Status.Code.RESOURCE_EXHAUSTED, failure.code());
    }

    @Test
    void everyCallHasADeadline() throws Exception {
        client.withTimeout(Duration.ofSeconds(7)).search(SEARCH);
        assertTrue(server.left.compareTo(Duration.ofSeconds(7)) <= 0, server.left::toString);
        client.write("docs", documents(1));
        assertTrue(server.left.compareTo(Duration.ofSeconds(10)) > 0, server.left::toString);
        assertTrue(server.left.compareTo(Duration.ofSeconds(60)) <= 0, server.left::toString);
        ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor();
        try (var context = Context.current().withDeadlineAfter(1, TimeUnit.HOURS, clock)) {
            context.run(() -> client.search(SEARCH));
        } finally {
            clock.shutdownNow();
        }
        assertTrue(server.left.compareTo(Duration.ofMinutes(50)) > 0, server.left::toString);
    }

    @Test
    void aTimeoutThatIsAskedForHoldsForWritingToo() {
        client.withTimeout(Duration.ofSeconds(7)).write("docs", documents(1));
        assertTrue(server.left.compareTo(Duration.ofSeconds(7)) <= 0, server.left::toString);
    }

    @Test
    void aTimeoutIsAboveZero() {
        assertThrows(IllegalArgumentException.class, () -> client.withTimeout(Duration.ZERO));
        assertThrows(IllegalArgumentException.class, () -> server.client().timeout(Duration.ofSeconds(-1)));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void closingEndsTheCallsUnderWay(boolean isRetrying) {
        server.hanging = new CountDownLatch(1);
        server.events.add(revised(1, Passage.newBuilder().setId("a")));
        ClientBuilder builder = server.client();
        Client closed = (isRetrying ? builder : builder.withoutRetries()).build();
        EventStream events = closed.streamSearch(StreamSearchRequest.getDefaultInstance());
        events.next();
        Thread closing = new Thread(() -> {
            try {
                server.hanging.await();
            } catch (InterruptedException interruption) {
                Thread.currentThread().interrupt();
            }
            closed.close();
        });
        closing.start();
        for (Executable call : List.<Executable>of(() -> closed.search(SEARCH), events::hasNext, closed::serverInfo)) {
            assertEquals(Status.Code.CANCELLED, assertThrows(CallException.class, call).code());
        }
    }

    @Test
    void detailsThatCannotBeReadLeaveTheCode() {
        byte[] broken = {8};
        byte[] ofAnotherCode = com.google.rpc.Status.newBuilder().setCode(5).build().toByteArray();
        for (byte[] details : List.of(broken, ofAnotherCode)) {
            server.details = details;
            server.fail(Status.Code.INTERNAL, 1);
            CallException failure = assertThrows(CallException.class, () -> client.search(SEARCH));
            assertEquals(Status.Code.INTERNAL, failure.code());
            assertEquals("", failure.reason());
        }
    }

    @Test
    void aBatchOfWhichTheServerLeavesSomethingOutSaysSo() {
        var whole = BatchSearchResponse.newBuilder().setResponse(SearchResponse.getDefaultInstance());
        server.answers.add(whole.build());
        server.answers.add(BatchSearchResponse.newBuilder().setRequestIndex(1).build());
        List<Outcome> outcomes = client.batchSearch(List.of(SEARCH, SEARCH, SEARCH));
        assertEquals(List.of(true, false, false), outcomes.stream().map(each -> each.response().isPresent()).toList());
        assertEquals(Status.Code.INTERNAL, outcomes.get(2).failure().orElseThrow().code());
        server.answers.add(whole.setRequestIndex(3).build());
        assertThrows(CallException.class, () -> client.batchSearch(List.of(SEARCH, SEARCH, SEARCH)));
    }

    @Test
    void anEmptyTokenIsNone() {
        for (ClientBuilder each : List.of(server.client().token(""), server.client().token(() -> ""))) {
            try (Client told = each.build()) {
                told.search(SEARCH);
            }
            assertNull(header("authorization"));
        }
        Client.builder("search.example:443").token("").build().close();
    }

    @Test
    void whatATokenThrowsTheCallThrows() {
        IllegalStateException missing = new IllegalStateException("no such file");
        Supplier<String> token = () -> {
            throw missing;
        };
        try (Client told = server.client().token(token).build()) {
            var request = StreamSearchRequest.getDefaultInstance();
            for (Executable call : List.<Executable>of(
                    () -> told.search(SEARCH), () -> told.streamSearch(request), () -> told.write("docs", documents(1)))) {
                assertSame(missing, assertThrows(IllegalStateException.class, call));
            }
        }
        assertEquals(0, server.attempts);
    }

    @Test
    void whatIsSentWithEveryCall() {
        try (Client told = server.client().token("secret").tenant("acme").metadata("X-Api-Key", "k").build()) {
            told.search(SEARCH);
        }
        assertEquals("Bearer secret", header("authorization"));
        assertEquals("acme", header("x-tamis-tenant"));
        assertEquals("k", header("x-api-key"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"search.example:443", "search.example:443/localhost:1", "dns://search.example/localhost:1"})
    void aTokenNeedsTls(String address) {
        ClientBuilder open = Client.builder(address).token("secret");
        assertThrows(IllegalStateException.class, open::build);
        assertThrows(IllegalStateException.class, open.tls(InsecureChannelCredentials.create())::build);
    }

    @ParameterizedTest
    @ValueSource(strings = {"localhost:1", "127.0.0.1:1", "[::1]:1", "dns:///localhost:1"})
    void aTokenNeedsNoneOnLoopback(String address) {
        Client.builder(address).token("secret").build().close();
    }

    @Test
    void aStreamFillsInTextsAndSkipsWhatItDoesNotKnow() {
        server.events.add(revised(1, Passage.newBuilder().setId("a").setText("whole")));
        server.events.add(StreamSearchResponse.getDefaultInstance()); // an event of a newer server
        server.events.add(revised(2, Passage.newBuilder().setId("a")));
        EventStream events = client.streamSearch(StreamSearchRequest.getDefaultInstance());
        for (int revision = 1; revision <= 2; revision++) {
            Event.HitsRevised found = (Event.HitsRevised) events.next();
            assertEquals(revision, found.revision());
            assertEquals("whole", found.hits().get(0).getPassage().getText());
        }
        events.close();
        CallException failure = assertThrows(CallException.class, events::hasNext);
        assertEquals(Status.Code.CANCELLED, failure.code());
    }

    private String header(String name) {
        return server.headers.get(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER));
    }

    private static List<Document> documents(int count) {
        return IntStream.range(0, count)
                .mapToObj(each -> Document.newBuilder().setId("" + each).setText("text").build())
                .toList();
    }

    private static StreamSearchResponse revised(int revision, Passage.Builder passage) {
        var hits = HitsRevised.newBuilder().setRevision(revision).addHits(Hit.newBuilder().setPassage(passage));
        return StreamSearchResponse.newBuilder().setHitsRevised(hits).build();
    }
}
