package tamis

// A List walks over all pages of a listing and asks for each as it is needed:
//
//	for documents := client.Documents(ctx, "handbook"); documents.Next(); {
//		fmt.Println(documents.Item().GetId())
//	}
//
// It belongs to one goroutine. Err says afterwards whether it ended early. Each page has a deadline of its own, unless the context has one for all.
type List[T any] struct {
	page func(token string) ([]T, string, error)

	items    []T
	item     T
	token    string
	hasBegun bool
	err      error
}

func newList[T any](page func(token string) ([]T, string, error)) *List[T] {
	return &List[T]{page: page}
}

// Next goes on to the next item. It returns false at the end, and after an error.
func (l *List[T]) Next() bool {
	for len(l.items) == 0 {
		if l.err != nil || l.hasBegun && l.token == "" {
			return false
		}
		l.hasBegun = true
		items, token, err := l.page(l.token)
		if err != nil {
			l.err = err
			return false
		}
		l.items, l.token = items, token
	}
	l.item, l.items = l.items[0], l.items[1:]
	return true
}

// Item is the one that Next went on to.
func (l *List[T]) Item() T { return l.item }

// Err is an *Error when the list ended before its end.
func (l *List[T]) Err() error { return l.err }

// All is for Go 1.23 and later: `for document, err := range documents.All()`. An error is the last thing it gives.
func (l *List[T]) All() func(yield func(T, error) bool) {
	return func(yield func(T, error) bool) {
		for l.Next() {
			if !yield(l.item, nil) {
				return
			}
		}
		if l.err != nil {
			var none T
			yield(none, l.err)
		}
	}
}
