package tamis.client;

import java.time.Duration;
import java.util.Arrays;
import java.util.stream.Collectors;
import tamis.v1.FilterOuterClass.Comparison;
import tamis.v1.FilterOuterClass.ComparisonOperator;
import tamis.v1.FilterOuterClass.Existence;
import tamis.v1.FilterOuterClass.Filter;
import tamis.v1.FilterOuterClass.Membership;
import tamis.v1.SearchServiceOuterClass.Boost;
import tamis.v1.SearchServiceOuterClass.Recency;
import tamis.v1.SearchServiceOuterClass.SortKey;
import tamis.v1.ValueOuterClass.Value;

/**
 * A field of the metadata, to be compared: {@code Field.of("year").atLeast(2020)}. Join what it makes by {@link Filters}.
 *
 * <p>Values are what {@link Values#of} takes; they travel as values and never as syntax, so that whatever a user typed
 * can mean nothing but itself. A list matches when any element does.
 */
public final class Field {
    private final String path;

    private Field(String path) {
        this.path = path;
    }

    /** The field at a path: names separated by dots, {@code author.name}. */
    public static Field of(String path) {
        return new Field(path);
    }

    /** The field at a path of names that are taken as they are, dots and backslashes included. */
    public static Field named(String... names) {
        return new Field(Arrays.stream(names)
                .map(each -> each.replace("\\", "\\\\").replace(".", "\\."))
                .collect(Collectors.joining(".")));
    }

    /** True where the field is the value; {@code equals} is what Java compares objects by. */
    public Filter is(Object value) {
        return compared(ComparisonOperator.COMPARISON_OPERATOR_EQUAL, value);
    }

    /** The opposite of {@link #is}: it also holds where the field is missing. */
    public Filter isNot(Object value) {
        return compared(ComparisonOperator.COMPARISON_OPERATOR_NOT_EQUAL, value);
    }

    /** True where the field is less than the value. */
    public Filter lessThan(Object value) {
        return compared(ComparisonOperator.COMPARISON_OPERATOR_LESS, value);
    }

    /** True where the field is the value or less. */
    public Filter atMost(Object value) {
        return compared(ComparisonOperator.COMPARISON_OPERATOR_LESS_OR_EQUAL, value);
    }

    /** True where the field is greater than the value. */
    public Filter greaterThan(Object value) {
        return compared(ComparisonOperator.COMPARISON_OPERATOR_GREATER, value);
    }

    /** True where the field is the value or greater. */
    public Filter atLeast(Object value) {
        return compared(ComparisonOperator.COMPARISON_OPERATOR_GREATER_OR_EQUAL, value);
    }

    /** True where the field is any of the values; with none, nowhere. */
    public Filter oneOf(Object... values) {
        Membership.Builder found = Membership.newBuilder().setField(path);
        Arrays.stream(values).map(Field::scalar).forEach(found::addValues);
        return Filter.newBuilder().setMembership(found).build();
    }

    /** True where the field is there, be it null. */
    public Filter exists() {
        return Filter.newBuilder().setExistence(Existence.newBuilder().setField(path)).build();
    }

    /** An order by the field, the least first. */
    public SortKey ascending() {
        return SortKey.newBuilder().setField(path).build();
    }

    /** An order by the field, the greatest first. */
    public SortKey descending() {
        return SortKey.newBuilder().setField(path).setDescending(true).build();
    }

    /** Adds the weight to what is new by a field with timestamps, half of it after a half-life. */
    public Boost recent(Duration halfLife, double weight) {
        var duration = com.google.protobuf.Duration.newBuilder()
                .setSeconds(halfLife.getSeconds())
                .setNanos(halfLife.getNano());
        var recency = Recency.newBuilder().setField(path).setHalfLifeDuration(duration);
        return Boost.newBuilder().setWeight(weight).setRecency(recency).build();
    }

    private Filter compared(ComparisonOperator operator, Object value) {
        Comparison.Builder found =
                Comparison.newBuilder().setField(path).setOperator(operator).setValue(scalar(value));
        return Filter.newBuilder().setComparison(found).build();
    }

    private static Value scalar(Object value) {
        Value found = Values.of(value);
        if (found.hasListValue() || found.hasMapValue()) {
            throw new IllegalArgumentException("a field is compared with one value; for several give oneOf an array");
        }
        return found;
    }
}
