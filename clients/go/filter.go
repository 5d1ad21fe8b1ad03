package tamis

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"tamis.example/tamis/tamisv1"
)

// A Field is a field of the metadata: names separated by dots, `author.name`. For names that hold dots see FieldNamed.
//
// Values travel as values and never as syntax, so that whatever a user typed can mean nothing but itself. A list matches
// when any element does; what the comparisons mean stands in tamisv1's filter.proto.
type Field string

// FieldNamed is the field at a path of names that are taken as they are, dots and backslashes included.
func FieldNamed(names ...string) Field {
	escape := strings.NewReplacer(`\`, `\\`, `.`, `\.`)
	escaped := make([]string, len(names))
	for place, each := range names {
		escaped[place] = escape.Replace(each)
	}
	return Field(strings.Join(escaped, "."))
}

// Equals is true where the field is the value.
func (f Field) Equals(value *tamisv1.Value) *tamisv1.Filter {
	return f.compared(tamisv1.ComparisonOperator_COMPARISON_OPERATOR_EQUAL, value)
}

// NotEquals is the opposite of Equals: it also holds where the field is missing.
func (f Field) NotEquals(value *tamisv1.Value) *tamisv1.Filter {
	return f.compared(tamisv1.ComparisonOperator_COMPARISON_OPERATOR_NOT_EQUAL, value)
}

// LessThan is true where the field is less than the value.
func (f Field) LessThan(value *tamisv1.Value) *tamisv1.Filter {
	return f.compared(tamisv1.ComparisonOperator_COMPARISON_OPERATOR_LESS, value)
}

// AtMost is true where the field is the value or less.
func (f Field) AtMost(value *tamisv1.Value) *tamisv1.Filter {
	return f.compared(tamisv1.ComparisonOperator_COMPARISON_OPERATOR_LESS_OR_EQUAL, value)
}

// GreaterThan is true where the field is greater than the value.
func (f Field) GreaterThan(value *tamisv1.Value) *tamisv1.Filter {
	return f.compared(tamisv1.ComparisonOperator_COMPARISON_OPERATOR_GREATER, value)
}

// AtLeast is true where the field is the value or greater.
func (f Field) AtLeast(value *tamisv1.Value) *tamisv1.Filter {
	return f.compared(tamisv1.ComparisonOperator_COMPARISON_OPERATOR_GREATER_OR_EQUAL, value)
}

// OneOf is true where the field is any of the values; with none, nowhere.
func (f Field) OneOf(values ...*tamisv1.Value) *tamisv1.Filter {
	found := &tamisv1.Membership{Field: string(f), Values: values}
	return &tamisv1.Filter{Condition: &tamisv1.Filter_Membership{Membership: found}}
}

// Exists is true where the field is there, be it null.
func (f Field) Exists() *tamisv1.Filter {
	found := &tamisv1.Existence{Field: string(f)}
	return &tamisv1.Filter{Condition: &tamisv1.Filter_Existence{Existence: found}}
}

// Ascending orders by the field, the least first.
func (f Field) Ascending() *tamisv1.SortKey { return &tamisv1.SortKey{Field: string(f)} }

// Descending orders by the field, the greatest first.
func (f Field) Descending() *tamisv1.SortKey {
	return &tamisv1.SortKey{Field: string(f), Descending: true}
}

// Recent adds the weight to what is new by a field with timestamps, half of it after a half-life.
func (f Field) Recent(halfLife time.Duration, weight float64) *tamisv1.Boost {
	recency := &tamisv1.Recency{Field: string(f), HalfLifeDuration: durationpb.New(halfLife)}
	return &tamisv1.Boost{Weight: weight, Kind: &tamisv1.Boost_Recency{Recency: recency}}
}

// BoostWhere adds the weight, -10 to 10 and not 0, where the condition holds.
func BoostWhere(condition *tamisv1.Filter, weight float64) *tamisv1.Boost {
	return &tamisv1.Boost{Weight: weight, Kind: &tamisv1.Boost_Condition{Condition: condition}}
}

// AllOf is true where every filter is; everywhere when there are none.
func AllOf(filters ...*tamisv1.Filter) *tamisv1.Filter {
	return &tamisv1.Filter{Condition: &tamisv1.Filter_And{And: &tamisv1.FilterList{Filters: filters}}}
}

// AnyOf is true where any filter is; nowhere when there are none.
func AnyOf(filters ...*tamisv1.Filter) *tamisv1.Filter {
	return &tamisv1.Filter{Condition: &tamisv1.Filter_Or{Or: &tamisv1.FilterList{Filters: filters}}}
}

// Not is true where the filter is false.
func Not(filter *tamisv1.Filter) *tamisv1.Filter {
	return &tamisv1.Filter{Condition: &tamisv1.Filter_Not{Not: filter}}
}

func (f Field) compared(operator tamisv1.ComparisonOperator, value *tamisv1.Value) *tamisv1.Filter {
	found := &tamisv1.Comparison{Field: string(f), Operator: operator, Value: value}
	return &tamisv1.Filter{Condition: &tamisv1.Filter_Comparison{Comparison: found}}
}
