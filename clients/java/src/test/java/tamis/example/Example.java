package tamis.example;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import tamis.client.CallException;
import tamis.client.Client;
import tamis.client.Event;
import tamis.client.EventStream;
import tamis.client.Field;
import tamis.client.Filters;
import tamis.client.Reason;
import tamis.client.Spans;
import tamis.client.Values;
import tamis.client.Written;
import tamis.v1.IndexServiceOuterClass.CreateCollectionRequest;
import tamis.v1.PassageOuterClass.Citation;
import tamis.v1.PassageOuterClass.Document;
import tamis.v1.PassageOuterClass.Hit;
import tamis.v1.SearchServiceOuterClass.SearchRequest;
import tamis.v1.SearchServiceOuterClass.StreamSearchRequest;

/** Indexes three documents, searches them with a filter and a deadline, and shows what comes back. */
public final class Example {
    private static final String COLLECTION = "java-example";

    private Example() {}

    /** Takes the address of a server; without one, that of {@code tamis serve}. */
    public static void main(String[] arguments) {
        try (Client client = Client.of(arguments.length > 0 ? arguments[0] : "127.0.0.1:7601")) {
            index(client);
            search(client);
            mistake(client);
        }
    }

    private static void index(Client client) {
        try {
            client.createCollection(CreateCollectionRequest.newBuilder()
                    .setCollection(COLLECTION)
                    .setLanguage("en")
                    .build());
        } catch (CallException failure) {
            if (!failure.reason().equals(Reason.ALREADY_EXISTS)) {
                throw failure;
            }
        }
        Written written = client.write(
                COLLECTION,
                List.of(
                        document(
                                "leave",
                                "Parental leave 👶🏽 is twelve weeks, paid in full. Ask Zoë before you plan your leave.",
                                2024),
                        document("travel", "Trains 🚆 are booked by everyone alone. Travel on leave is private.", 2023),
                        document("leave-2009", "Parental leave is two weeks, unpaid.", 2009)));
        client.waitIndexed(COLLECTION, written.sequence());
        show("documents: %d written, %d unchanged\n", written.writtenCount(), written.unchangedCount());
    }

    private static Document document(String id, String text, int year) {
        return Document.newBuilder()
                .setId(id)
                .setText(text)
                .putAllMetadata(Map.of("year", Values.of(year), "lang", Values.of("en")))
                .build();
    }

    private static void search(Client client) {
        StreamSearchRequest request = StreamSearchRequest.newBuilder()
                .setCollection(COLLECTION)
                .setQuery("parental leave")
                .setFilter(Filters.allOf(Field.of("year").atLeast(2020), Field.of("lang").is("en")))
                .build();
        List<Hit> hits = List.of();
        List<Citation> citations = new ArrayList<>();
        StringBuilder answer = new StringBuilder();
        Client hurried = client.withTimeout(Duration.ofSeconds(5)); // the budget that the server spends
        try (EventStream events = hurried.streamSearch(request)) {
            for (Event event : events) {
                if (event instanceof Event.HitsRevised revised) {
                    hits = revised.hits();
                    String ids = hits.stream()
                            .map(each -> each.getPassage().getDocumentId())
                            .collect(Collectors.joining(", "));
                    show("  revision %d, by %s: %s", revised.revision(), revised.stage(), ids);
                } else if (event instanceof Event.StageCompleted ended) {
                    var report = ended.report();
                    show(
                            "%-22s %s, %d of %d",
                            report.getStage(), word(report.getOutcome()), report.getDoneCount(), report.getTotalCount());
                } else if (event instanceof Event.AnswerDelta delta) {
                    answer.append(delta.text());
                    citations.addAll(delta.citations());
                } else if (event instanceof Event.Completed completed) {
                    show("completed: revision %d stands; %s\n", completed.revision(), word(completed.finishReason()));
                }
            }
        }
        for (Hit hit : hits) {
            var passage = hit.getPassage();
            Object year = Values.toObject(passage.getMetadataOrThrow("year"));
            show("%s, of %s: %s", passage.getDocumentId(), year, passage.getText());
        }
        show("\nanswer: %s", answer);
        for (Citation each : citations) {
            Spans.Range range = Spans.range(each.getAnswerSpan(), answer.toString());
            show(
                    "  bytes %d to %d, chars %d to %d: from %s, \"%s\"",
                    each.getAnswerSpan().getStart(),
                    each.getAnswerSpan().getEnd(),
                    range.start(),
                    range.end(),
                    each.getDocumentId(),
                    answer.substring(range.start(), range.end()));
        }
    }

    private static void mistake(Client client) {
        try {
            client.search(SearchRequest.newBuilder().setCollection("nowhere").setQuery("leave").build());
        } catch (CallException failure) {
            if (!failure.reason().equals(Reason.NOT_FOUND)) {
                throw failure;
            }
            Map<String, String> what = failure.metadata();
            show("\nthere is no %s \"%s\"; its reason is %s", what.get("kind"), what.get("name"), failure.reason());
        }
    }

    /** The last word of an enumeration's name: RAN of STAGE_OUTCOME_RAN. */
    private static String word(Enum<?> value) {
        return value.name().substring(value.name().lastIndexOf('_') + 1).toLowerCase(Locale.ROOT);
    }

    private static void show(String format, Object... arguments) {
        System.out.println(String.format(format, arguments));
    }
}
