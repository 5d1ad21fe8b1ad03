package tamis.client;

import java.util.Arrays;
import tamis.v1.FilterOuterClass.Filter;
import tamis.v1.FilterOuterClass.FilterList;
import tamis.v1.SearchServiceOuterClass.Boost;

/** Joins what {@link Field} makes. */
public final class Filters {
    private Filters() {}

    /** True where every filter is; everywhere when there are none. */
    public static Filter allOf(Filter... filters) {
        return Filter.newBuilder().setAnd(list(filters)).build();
    }

    /** True where any filter is; nowhere when there are none. */
    public static Filter anyOf(Filter... filters) {
        return Filter.newBuilder().setOr(list(filters)).build();
    }

    /** True where the filter is false. */
    public static Filter not(Filter filter) {
        return Filter.newBuilder().setNot(filter).build();
    }

    /** Adds the weight, -10 to 10 and not 0, where the condition holds. */
    public static Boost boostWhere(Filter condition, double weight) {
        return Boost.newBuilder().setWeight(weight).setCondition(condition).build();
    }

    private static FilterList list(Filter... filters) {
        return FilterList.newBuilder().addAllFilters(Arrays.asList(filters)).build();
    }
}
