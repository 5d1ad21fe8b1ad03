package tamis.client;

import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.function.Function;

/** Walks over all pages of a listing and asks for each as it is needed. */
final class Pages<T> implements Iterator<T> {
    record Page<T>(List<T> items, String nextToken) {}

    private final Function<String, Page<T>> page;
    private Iterator<T> items = Collections.emptyIterator();
    private String token = "";
    private boolean hasBegun;

    private Pages(Function<String, Page<T>> page) {
        this.page = page;
    }

    /** What asks anew whenever it is walked over; {@code page} is given the token of a page, empty for the first. */
    static <T> Iterable<T> of(Function<String, Page<T>> page) {
        return () -> new Pages<>(page);
    }

    @Override
    public boolean hasNext() {
        while (!items.hasNext() && !(hasBegun && token.isEmpty())) {
            Page<T> found = page.apply(token);
            hasBegun = true;
            items = found.items().iterator();
            token = found.nextToken();
        }
        return items.hasNext();
    }

    @Override
    public T next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        return items.next();
    }
}
