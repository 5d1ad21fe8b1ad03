package tamis

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tamis.example/tamis/tamisv1"
)

// Metadata is what filters see of a document: `tamis.Metadata{"year": tamis.Int(2024)}`.
type Metadata = map[string]*tamisv1.Value

// Int is an integer of 64 bits.
func Int[T ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32](value T) *tamisv1.Value {
	return &tamisv1.Value{Kind: &tamisv1.Value_IntValue{IntValue: int64(value)}}
}

// Float is a finite number; the server refuses others.
func Float(value float64) *tamisv1.Value {
	return &tamisv1.Value{Kind: &tamisv1.Value_DoubleValue{DoubleValue: value}}
}

// String is a string of UTF-8.
func String(value string) *tamisv1.Value {
	return &tamisv1.Value{Kind: &tamisv1.Value_StringValue{StringValue: value}}
}

// Bool is true or false.
func Bool(value bool) *tamisv1.Value {
	return &tamisv1.Value{Kind: &tamisv1.Value_BoolValue{BoolValue: value}}
}

// Time is an instant, kept to the microsecond.
func Time(value time.Time) *tamisv1.Value {
	return &tamisv1.Value{Kind: &tamisv1.Value_TimestampValue{TimestampValue: timestamppb.New(value)}}
}

// Null is a field that is there and has no value.
func Null() *tamisv1.Value { return &tamisv1.Value{Kind: &tamisv1.Value_NullValue{}} }

// ListOf is several values in order.
func ListOf(values ...*tamisv1.Value) *tamisv1.Value {
	return &tamisv1.Value{Kind: &tamisv1.Value_ListValue{ListValue: &tamisv1.ListValue{Values: values}}}
}

// Map is values by name.
func Map(fields Metadata) *tamisv1.Value {
	return &tamisv1.Value{Kind: &tamisv1.Value_MapValue{MapValue: &tamisv1.MapValue{Fields: fields}}}
}

// Native is a value as nil, bool, int64, float64, string, time.Time, []any or map[string]any; nil for a kind that this
// client does not know.
func Native(value *tamisv1.Value) any {
	switch kind := value.GetKind().(type) {
	case *tamisv1.Value_BoolValue:
		return kind.BoolValue
	case *tamisv1.Value_IntValue:
		return kind.IntValue
	case *tamisv1.Value_DoubleValue:
		return kind.DoubleValue
	case *tamisv1.Value_StringValue:
		return kind.StringValue
	case *tamisv1.Value_TimestampValue:
		return kind.TimestampValue.AsTime()
	case *tamisv1.Value_ListValue:
		list := make([]any, 0, len(kind.ListValue.GetValues()))
		for _, each := range kind.ListValue.GetValues() {
			list = append(list, Native(each))
		}
		return list
	case *tamisv1.Value_MapValue:
		fields := make(map[string]any, len(kind.MapValue.GetFields()))
		for name, each := range kind.MapValue.GetFields() {
			fields[name] = Native(each)
		}
		return fields
	}
	return nil
}
