package tamis

import (
	"context"
	"io"

	"tamis.example/tamis/tamisv1"
)

// An Event of a stream is one of HitsRevised, StageCompleted, AnswerDelta and Completed.
type Event interface{ isEvent() }

// HitsRevised replaces all hits of the revisions before. Passages are whole in each, though the wire sends them once.
type HitsRevised struct{ *tamisv1.HitsRevised }

// StageCompleted says that a stage has ended, and how.
type StageCompleted struct{ *tamisv1.StageReport }

// AnswerDelta is the next piece of the answer, with the evidence that became known with it.
type AnswerDelta struct{ *tamisv1.AnswerDelta }

// Completed is the last event of a stream that ends well.
type Completed struct{ *tamisv1.Completed }

func (HitsRevised) isEvent()    {}
func (StageCompleted) isEvent() {}
func (AnswerDelta) isEvent()    {}
func (Completed) isEvent()      {}

// A Stream gives events as they come. It belongs to one goroutine.
type Stream struct {
	receive func() (any, error)
	cancel  context.CancelFunc
	known   map[string]*tamisv1.Passage
}

// Recv waits for the next event. It returns io.EOF after the last one, and an *Error for what ended otherwise. Events
// that this client does not know are left out.
func (s *Stream) Recv() (Event, error) {
	for {
		message, err := s.receive()
		if err != nil {
			s.cancel()
			return nil, err
		}
		if event := s.eventOf(message); event != nil {
			return event, nil
		}
	}
}

// All is for Go 1.23 and later: `for event, err := range stream.All()`. Leaving the loop closes the stream; an error is
// the last thing it gives.
func (s *Stream) All() func(yield func(Event, error) bool) {
	return func(yield func(Event, error) bool) {
		defer s.Close()
		for {
			event, err := s.Recv()
			if err == io.EOF || !yield(event, err) || err != nil {
				return
			}
		}
	}
}

// Close cancels what is still under way, on the server too. A stream that is not read to its end has to be closed.
func (s *Stream) Close() { s.cancel() }

func (s *Stream) eventOf(message any) Event {
	if found, ok := message.(interface{ GetHitsRevised() *tamisv1.HitsRevised }); ok && found.GetHitsRevised() != nil {
		revised := found.GetHitsRevised()
		for _, each := range revised.GetHits() {
			s.fill(each)
		}
		return HitsRevised{revised}
	}
	if found, ok := message.(interface{ GetAnswerDelta() *tamisv1.AnswerDelta }); ok && found.GetAnswerDelta() != nil {
		return AnswerDelta{found.GetAnswerDelta()}
	}
	if found, ok := message.(interface{ GetStageCompleted() *tamisv1.StageReport }); ok && found.GetStageCompleted() != nil {
		return StageCompleted{found.GetStageCompleted()}
	}
	if found, ok := message.(interface{ GetCompleted() *tamisv1.Completed }); ok && found.GetCompleted() != nil {
		return Completed{found.GetCompleted()}
	}
	return nil
}

func (s *Stream) fill(hit *tamisv1.Hit) {
	id := hit.GetPassage().GetId()
	if whole, ok := s.known[id]; ok {
		hit.Passage = whole
	} else {
		s.known[id] = hit.GetPassage()
	}
}

func newStream[M any](known []*tamisv1.Passage, cancel context.CancelFunc, receive func() (M, error)) *Stream {
	stream := &Stream{cancel: cancel, known: make(map[string]*tamisv1.Passage, len(known))}
	for _, each := range known {
		stream.known[each.GetId()] = each
	}
	stream.receive = func() (any, error) { return receive() }
	return stream
}
