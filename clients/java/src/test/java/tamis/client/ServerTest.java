package tamis.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;
import tamis.v1.FilterOuterClass.Filter;
import tamis.v1.IndexServiceOuterClass.CreateCollectionRequest;
import tamis.v1.IndexServiceOuterClass.DeleteDocumentsRequest;
import tamis.v1.IndexServiceOuterClass.MetadataPatch;
import tamis.v1.IndexServiceOuterClass.PatchMetadataRequest;
import tamis.v1.PassageOuterClass.Document;
import tamis.v1.PassageOuterClass.Hit;
import tamis.v1.PassageOuterClass.Passage;
import tamis.v1.PassageOuterClass.StageOutcome;
import tamis.v1.SearchServiceOuterClass.GenerateRequest;
import tamis.v1.SearchServiceOuterClass.RerankRequest;
import tamis.v1.SearchServiceOuterClass.RerankResponse;
import tamis.v1.SearchServiceOuterClass.RetrieveRequest;
import tamis.v1.SearchServiceOuterClass.SearchRequest;
import tamis.v1.SearchServiceOuterClass.StreamSearchRequest;

@EnabledIfEnvironmentVariable(named = "TAMIS_ADDRESS", matches = ".+")
class ServerTest {
    private static final String SHARED = "java-shared";

    private static Client client;

    @BeforeAll
    static void connect() {
        client = Client.of(System.getenv("TAMIS_ADDRESS"));
        fill(SHARED);
    }

    @AfterAll
    static void disconnect() {
        client.deleteCollection(SHARED);
        client.close();
    }

    @Test
    void aSearchFindsWhatTheFilterLets() {
        assertEquals(Set.of("a", "b"), found(Filters.allOf()));
        assertEquals(Set.of("a"), found(Field.of("year").greaterThan(2019)));
        assertEquals(Set.of("b"), found(Filters.not(Field.of("year").is(2024.0))));
        assertEquals(Set.of("a", "b"), found(Field.of("year").oneOf(2019, 2024)));
        assertEquals(Set.of(), found(Field.named("old.name").exists()));
    }

    private static Set<String> found(Filter filter) {
        SearchRequest request = SearchRequest.newBuilder()
                .setCollection(SHARED)
                .setQuery("smooth sauce")
                .setPipeline("bm25")
                .setFilter(filter)
                .build();
        return client.search(request).getHitsList().stream()
                .map(each -> each.getPassage().getDocumentId())
                .collect(Collectors.toSet());
    }

    @Test
    void aStreamKeepsItsGrammar() {
        int revision = 0;
        int stages = 0;
        StringBuilder answer = new StringBuilder();
        Event last = null;
        var request = StreamSearchRequest.newBuilder().setCollection(SHARED).setQuery("smooth sauce").build();
        try (EventStream events = client.streamSearch(request)) {
            for (Event event : events) {
                last = event;
                if (event instanceof Event.HitsRevised revised) {
                    assertEquals(++revision, revised.revision());
                    revised.hits().forEach(hit -> assertFalse(hit.getPassage().getText().isEmpty()));
                } else if (event instanceof Event.StageCompleted ended) {
                    stages++;
                    assertNotEquals(StageOutcome.UNRECOGNIZED, ended.report().getOutcome());
                } else if (event instanceof Event.AnswerDelta delta) {
                    answer.append(delta.text());
                    delta.citations().forEach(each -> Spans.textOf(each.getAnswerSpan(), answer.toString()));
                }
            }
            assertFalse(events.hasNext());
        }
        Event.Completed completed = (Event.Completed) last;
        assertEquals(revision, completed.revision());
        assertEquals(stages, completed.details().getStageReportsCount());
        assertFalse(answer.isEmpty());
    }

    @Test
    void errorsSayWhy() {
        CallException missing = assertThrows(CallException.class, () -> client.document(SHARED, "nobody"));
        assertEquals(Reason.NOT_FOUND, missing.reason());
        assertEquals("nobody", missing.metadata().get("name"));
        SearchRequest wrong =
                SearchRequest.newBuilder().setCollection(SHARED).setQuery("x").setPipeline("bm25 >>").build();
        CallException invalid = assertThrows(CallException.class, () -> client.search(wrong));
        assertEquals(Reason.INVALID_EXPRESSION, invalid.reason());
        assertEquals("pipeline", invalid.violations().get(0).field());
        var nowhere = StreamSearchRequest.newBuilder().setCollection("nowhere").setQuery("x").build();
        CallException streamed = assertThrows(CallException.class, () -> client.streamSearch(nowhere).hasNext());
        assertEquals(Reason.NOT_FOUND, streamed.reason());
        CallException written =
                assertThrows(CallException.class, () -> client.write("nowhere", List.of(document("a", "text", Map.of()))));
        assertEquals(Reason.NOT_FOUND, written.reason());
        CallException late =
                assertThrows(CallException.class, () -> client.withTimeout(Duration.ofNanos(1)).serverInfo());
        assertEquals(Status.Code.DEADLINE_EXCEEDED, late.code());
        assertEquals("", late.reason());
        try (Client nobody = Client.builder("127.0.0.1:1").withoutRetries().build()) {
            CallException alone = assertThrows(CallException.class, nobody::serverInfo);
            assertEquals(Status.Code.UNAVAILABLE, alone.code());
        }
    }

    @Test
    void listsGoThroughAllPages() {
        List<String> ids = new ArrayList<>();
        client.documents(SHARED).forEach(each -> ids.add(each.getId()));
        assertEquals(List.of("a", "b", "c"), ids);
        var request = RetrieveRequest.newBuilder()
                .setCollection(SHARED)
                .setQuery("smooth sauce")
                .setPipeline("bm25")
                .setPageSize(1)
                .build();
        List<Hit> hits = StreamSupport.stream(client.pages(request).spliterator(), false)
                .flatMap(page -> page.getHitsList().stream())
                .toList();
        assertEquals(2, hits.size());
        CallException missing =
                assertThrows(CallException.class, () -> client.documents("nowhere").iterator().hasNext());
        assertEquals(Reason.NOT_FOUND, missing.reason());
        assertTrue(client.plugins().iterator().hasNext());
        assertTrue(client.pipelines().iterator().hasNext());
        assertTrue(client.collections().iterator().hasNext());
    }

    @Test
    void documentsChangeAndGo() {
        fill("java-documents");
        try {
            MetadataPatch patch =
                    MetadataPatch.newBuilder().setDocumentId("a").putMetadata("year", Values.of(2030)).build();
            client.patchMetadata(PatchMetadataRequest.newBuilder()
                    .setCollection("java-documents")
                    .addPatches(patch)
                    .build());
            Document changed = client.document("java-documents", "a");
            assertEquals(2030L, Values.toObject(changed.getMetadataOrThrow("year")));
            var deleted = client.deleteDocuments(DeleteDocumentsRequest.newBuilder()
                    .setCollection("java-documents")
                    .setFilter(Field.of("year").is(2030))
                    .build());
            assertEquals(1, deleted.getDeletedCount());
        } finally {
            client.deleteCollection("java-documents");
        }
    }

    @Test
    void passagesOfYourOwn() {
        List<Passage> passages = List.of(passage("a", "Holidays."), passage("b", "Parental leave is twelve weeks."));
        RerankResponse ranked = client.rerank(RerankRequest.newBuilder()
                .setQuery("parental leave")
                .setPipeline("late")
                .addAllPassages(passages)
                .build());
        assertEquals(passages.get(1), ranked.getHits(0).getPassage());
        var request = GenerateRequest.newBuilder().setQuery("parental leave").addAllPassages(passages).build();
        StringBuilder answer = new StringBuilder();
        try (EventStream events = client.generate(request)) {
            for (Event event : events) {
                if (event instanceof Event.AnswerDelta delta) {
                    answer.append(delta.text());
                }
            }
        }
        assertEquals(passages.get(1).getText(), answer.toString());
    }

    @Test
    void severalSearchesAtOnce() {
        SearchRequest right = SearchRequest.newBuilder().setCollection(SHARED).setQuery("smooth sauce").build();
        SearchRequest wrong = right.toBuilder().setPageSize(-1).build();
        List<Outcome> outcomes = client.batchSearch(Arrays.asList(right, wrong));
        assertFalse(outcomes.get(0).response().orElseThrow().getHitsList().isEmpty());
        CallException failure = outcomes.get(1).failure().orElseThrow();
        assertEquals(Reason.INVALID_REQUEST, failure.reason());
        assertEquals("page_size", failure.violations().get(0).field());
    }

    private static void fill(String collection) {
        client.createCollection(CreateCollectionRequest.newBuilder().setCollection(collection).build());
        Written written = client.write(
                collection,
                List.of(
                        document("a", "A drum sieve makes a sauce smooth. 🍲", Map.of("year", 2024)),
                        document("b", "A wooden spoon stirs the smooth sauce.", Map.of("year", 2019)),
                        document("c", "The kettle sings.", Map.of("old.name", true))));
        assertEquals(3, written.writtenCount());
        client.waitIndexed(collection, written.sequence())
                .forEach(each -> assertTrue(each.getAppliedSequence() >= written.sequence()));
    }

    private static Document document(String id, String text, Map<String, Object> metadata) {
        Document.Builder document = Document.newBuilder().setId(id).setText(text);
        metadata.forEach((key, value) -> document.putMetadata(key, Values.of(value)));
        return document.build();
    }

    private static Passage passage(String id, String text) {
        return Passage.newBuilder().setId(id).setText(text).build();
    }
}
