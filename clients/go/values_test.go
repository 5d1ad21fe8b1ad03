package tamis_test

import (
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tamis.example/tamis"
	"tamis.example/tamis/tamisv1"
)

func TestValuesComeBackAsTheyWere(t *testing.T) {
	instant := time.Date(2025, 1, 2, 3, 4, 5, 6000, time.UTC)
	value := tamis.Map(tamis.Metadata{
		"int": tamis.Int(-1 << 63), "float": tamis.Float(0.5), "string": tamis.String("Zoë 🚆"), "bool": tamis.Bool(false),
		"time": tamis.Time(instant), "null": tamis.Null(), "list": tamis.ListOf(tamis.Int(1), tamis.ListOf()),
	})
	wanted := map[string]any{
		"int": int64(-1 << 63), "float": 0.5, "string": "Zoë 🚆", "bool": false,
		"time": instant, "null": nil, "list": []any{int64(1), []any{}},
	}
	if found := tamis.Native(value); !reflect.DeepEqual(found, wanted) {
		t.Fatal(found)
	}
	if found := tamis.Native(&tamisv1.Value{}); found != nil {
		t.Fatal(found)
	}
}

func TestNamesMayHoldDotsAndBackslashes(t *testing.T) {
	if found := tamis.FieldNamed("valid.until", `a\b`, "c"); found != `valid\.until.a\\b.c` {
		t.Fatal(found)
	}
}

func TestAFilterIsSentAsItIsSaid(t *testing.T) {
	found := tamis.AllOf(tamis.Field("year").AtLeast(tamis.Int(2020)), tamis.Not(tamis.AnyOf(tamis.Field("lang").Exists())))
	comparison := &tamisv1.Comparison{
		Field: "year", Operator: tamisv1.ComparisonOperator_COMPARISON_OPERATOR_GREATER_OR_EQUAL,
		Value: &tamisv1.Value{Kind: &tamisv1.Value_IntValue{IntValue: 2020}},
	}
	existence := &tamisv1.Filter{Condition: &tamisv1.Filter_Existence{Existence: &tamisv1.Existence{Field: "lang"}}}
	either := &tamisv1.Filter{Condition: &tamisv1.Filter_Or{Or: &tamisv1.FilterList{Filters: []*tamisv1.Filter{existence}}}}
	wanted := &tamisv1.Filter{Condition: &tamisv1.Filter_And{And: &tamisv1.FilterList{Filters: []*tamisv1.Filter{
		{Condition: &tamisv1.Filter_Comparison{Comparison: comparison}},
		{Condition: &tamisv1.Filter_Not{Not: either}},
	}}}}
	if !proto.Equal(found, wanted) {
		t.Fatal(found)
	}
}

func TestSpansOfEveryKindOfCharacter(t *testing.T) {
	text := "a\u0301 👶🏽 𝒳 Zoë"
	for _, each := range []struct {
		start, end, first, last int
		part                    string
	}{
		{0, 3, 0, 2, "a\u0301"}, {4, 12, 3, 5, "👶🏽"}, {13, 17, 6, 7, "𝒳"}, {18, 22, 8, 11, "Zoë"}, {22, 22, 11, 11, ""},
	} {
		span := &tamisv1.ByteSpan{Start: int32(each.start), End: int32(each.end)}
		first, last := tamis.Runes(span, text)
		if part := tamis.TextOf(span, text); part != each.part || first != each.first || last != each.last {
			t.Fatal(part, first, last)
		}
		if string([]rune(text)[first:last]) != each.part {
			t.Fatal(each)
		}
	}
}

func TestASnippetComesInPieces(t *testing.T) {
	hit := &tamisv1.Hit{
		Snippet:           "👶 leave, paid",
		SnippetHighlights: []*tamisv1.ByteSpan{{Start: 0, End: 4}, {Start: 5, End: 10}},
	}
	wanted := []tamis.Piece{{Text: "👶", IsHighlighted: true}, {Text: " "}, {Text: "leave", IsHighlighted: true}, {Text: ", paid"}}
	if found := tamis.Highlighted(hit); !reflect.DeepEqual(found, wanted) {
		t.Fatal(found)
	}
	if found := tamis.Highlighted(&tamisv1.Hit{}); found != nil {
		t.Fatal(found)
	}
}
