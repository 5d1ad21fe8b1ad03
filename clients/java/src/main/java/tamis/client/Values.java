package tamis.client;

import com.google.protobuf.NullValue;
import com.google.protobuf.Timestamp;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tamis.v1.ValueOuterClass.ListValue;
import tamis.v1.ValueOuterClass.MapValue;
import tamis.v1.ValueOuterClass.Value;

/** Metadata as Java's own values. */
public final class Values {
    private Values() {}

    /**
     * A value as it is sent.
     *
     * @param value null, a Boolean, an Integer or another whole number up to Long, a Float or Double that is finite, a
     *     String, an Instant, a List or a Map with Strings as keys
     * @throws IllegalArgumentException for anything else
     */
    public static Value of(Object value) {
        Value.Builder found = Value.newBuilder();
        if (value == null) {
            found.setNullValue(NullValue.NULL_VALUE);
        } else if (value instanceof Value already) {
            return already;
        } else if (value instanceof Boolean bool) {
            found.setBoolValue(bool);
        } else if (value instanceof Long || value instanceof Integer || value instanceof Short || value instanceof Byte) {
            found.setIntValue(((Number) value).longValue());
        } else if (value instanceof Double || value instanceof Float) {
            double number = ((Number) value).doubleValue();
            if (!Double.isFinite(number)) {
                throw new IllegalArgumentException(number + " is no value: a number must be finite");
            }
            found.setDoubleValue(number);
        } else if (value instanceof String text) {
            found.setStringValue(text);
        } else if (value instanceof Instant instant) {
            found.setTimestampValue(
                    Timestamp.newBuilder().setSeconds(instant.getEpochSecond()).setNanos(instant.getNano()));
        } else if (value instanceof List<?> list) {
            ListValue.Builder values = ListValue.newBuilder();
            list.forEach(each -> values.addValues(of(each)));
            found.setListValue(values);
        } else if (value instanceof Map<?, ?> map) {
            MapValue.Builder fields = MapValue.newBuilder();
            map.forEach((name, each) -> fields.putFields(name(name), of(each)));
            found.setMapValue(fields);
        } else {
            throw new IllegalArgumentException("a " + value.getClass().getName() + " is no value");
        }
        return found.build();
    }

    private static String name(Object name) {
        if (name instanceof String text) {
            return text;
        }
        throw new IllegalArgumentException("a map with " + name + " as a key is no value: keys are Strings");
    }

    /** What {@link #of} took, whole numbers as Long; null also for a kind of value that this client does not know. */
    public static Object toObject(Value value) {
        return switch (value.getKindCase()) {
            case BOOL_VALUE -> value.getBoolValue();
            case INT_VALUE -> value.getIntValue();
            case DOUBLE_VALUE -> value.getDoubleValue();
            case STRING_VALUE -> value.getStringValue();
            case TIMESTAMP_VALUE -> Instant.ofEpochSecond(
                    value.getTimestampValue().getSeconds(), value.getTimestampValue().getNanos());
            case LIST_VALUE -> {
                List<Object> list = new ArrayList<>();
                value.getListValue().getValuesList().forEach(each -> list.add(toObject(each)));
                yield list;
            }
            case MAP_VALUE -> {
                Map<String, Object> map = new LinkedHashMap<>();
                value.getMapValue().getFieldsMap().forEach((name, each) -> map.put(name, toObject(each)));
                yield map;
            }
            default -> null;
        };
    }
}
