package tamis.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.TextFormat;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import tamis.v1.FilterOuterClass.Filter;
import tamis.v1.ValueOuterClass.Value;

class ValuesTest {
    @Test
    void valuesComeBackAsTheyWere() {
        Map<String, Object> fields = new HashMap<>(Map.of(
                "int", Long.MIN_VALUE,
                "float", 0.5,
                "string", "Zoë 🚆",
                "bool", false,
                "time", Instant.parse("1969-12-31T23:59:59.000006Z"),
                "map", Map.of("inner", true)));
        fields.put("null", null);
        fields.put("list", Arrays.asList(1L, List.of(), null));
        assertEquals(fields, Values.toObject(Values.of(fields)));
        assertEquals(7L, Values.toObject(Values.of((short) 7)));
        assertNull(Values.toObject(Value.getDefaultInstance()));
    }

    @Test
    void whatIsNoValueIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> Values.of(Double.NaN));
        assertThrows(IllegalArgumentException.class, () -> Values.of(new Object()));
        assertThrows(IllegalArgumentException.class, () -> Field.of("year").is('c'));
        assertThrows(IllegalArgumentException.class, () -> Values.of(Map.of(1, "a")));
        assertThrows(IllegalArgumentException.class, () -> Field.of("lang").is(List.of("de")));
        assertThrows(IllegalArgumentException.class, () -> Field.of("lang").oneOf(List.of("de", "en")));
    }

    @Test
    void aFilterIsSentAsItIsSaid() throws Exception {
        Filter found = Filters.allOf(
                Field.of("year").atLeast(2020), Filters.not(Filters.anyOf(Field.named("valid.until", "a\\b").exists())));
        String wanted =
                """
                and {
                  filters { comparison {
                    field: "year" operator: COMPARISON_OPERATOR_GREATER_OR_EQUAL value { int_value: 2020 }
                  } }
                  filters { not { or { filters { existence { field: "valid\\\\.until.a\\\\\\\\b" } } } } }
                }
                """;
        assertEquals(TextFormat.parse(wanted, Filter.class), found);
    }
}
