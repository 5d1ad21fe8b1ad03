package tamis.client;

import io.grpc.Context;
import io.grpc.StatusRuntimeException;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.function.Supplier;
import tamis.v1.PassageOuterClass.Hit;
import tamis.v1.PassageOuterClass.Passage;
import tamis.v1.SearchServiceOuterClass;
import tamis.v1.SearchServiceOuterClass.GenerateResponse;
import tamis.v1.SearchServiceOuterClass.StreamRerankResponse;
import tamis.v1.SearchServiceOuterClass.StreamSearchResponse;

/**
 * Events as they come, once. Waits for each; throws {@link CallException} where a stream does not end well. Closing it
 * cancels what is still under way, on the server too. Belongs to one thread.
 */
public final class EventStream implements Iterator<Event>, Iterable<Event>, AutoCloseable {
    private final Context.CancellableContext context;
    private final Iterator<?> messages;
    private final Map<String, Passage> known = new HashMap<>();
    private Event next;

    private EventStream(Context.CancellableContext context, Iterator<?> messages, List<Passage> passages) {
        this.context = context;
        this.messages = messages;
        passages.forEach(each -> known.put(each.getId(), each));
    }

    static EventStream of(Supplier<Iterator<?>> call, List<Passage> passages) {
        Context.CancellableContext context = Context.current().withCancellation();
        Context before = context.attach();
        try {
            return new EventStream(context, call.get(), passages);
        } catch (RuntimeException failure) {
            context.cancel(null);
            throw failure instanceof StatusRuntimeException status ? CallException.of(status) : failure;
        } finally {
            context.detach(before);
        }
    }

    @Override
    public boolean hasNext() {
        try {
            while (next == null && messages.hasNext()) {
                next = eventOf(messages.next());
            }
        } catch (StatusRuntimeException failure) {
            close();
            throw CallException.of(failure);
        }
        if (next == null) {
            close();
        }
        return next != null;
    }

    @Override
    public Event next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        Event found = next;
        next = null;
        return found;
    }

    /** Itself, for a {@code for} loop. */
    @Override
    public Iterator<Event> iterator() {
        return this;
    }

    @Override
    public void close() {
        context.cancel(null);
    }

    /** Null for an event that this client does not know. */
    private Event eventOf(Object message) {
        if (message instanceof StreamSearchResponse search) {
            return switch (search.getEventCase()) {
                case HITS_REVISED -> revised(search.getHitsRevised());
                case STAGE_COMPLETED -> new Event.StageCompleted(search.getStageCompleted());
                case ANSWER_DELTA -> delta(search.getAnswerDelta());
                case COMPLETED -> completed(search.getCompleted());
                default -> null;
            };
        }
        if (message instanceof StreamRerankResponse rerank) {
            return switch (rerank.getEventCase()) {
                case HITS_REVISED -> revised(rerank.getHitsRevised());
                case STAGE_COMPLETED -> new Event.StageCompleted(rerank.getStageCompleted());
                case COMPLETED -> completed(rerank.getCompleted());
                default -> null;
            };
        }
        GenerateResponse generate = (GenerateResponse) message;
        return switch (generate.getEventCase()) {
            case STAGE_COMPLETED -> new Event.StageCompleted(generate.getStageCompleted());
            case ANSWER_DELTA -> delta(generate.getAnswerDelta());
            case COMPLETED -> completed(generate.getCompleted());
            default -> null;
        };
    }

    private Event revised(SearchServiceOuterClass.HitsRevised message) {
        return new Event.HitsRevised(message.getRevision(), message.getStage(), filled(message.getHitsList(), known));
    }

    private static Event delta(SearchServiceOuterClass.AnswerDelta message) {
        return new Event.AnswerDelta(message.getText(), message.getCitationsList());
    }

    private static Event completed(SearchServiceOuterClass.Completed message) {
        return new Event.Completed(message.getFinishReason(), message.getRevision(), message);
    }

    /** The hits with whole passages; {@code known} learns those that come now. */
    static List<Hit> filled(List<Hit> hits, Map<String, Passage> known) {
        return hits.stream()
                .map(hit -> {
                    Passage whole = known.putIfAbsent(hit.getPassage().getId(), hit.getPassage());
                    return whole == null ? hit : hit.toBuilder().setPassage(whole).build();
                })
                .toList();
    }
}
