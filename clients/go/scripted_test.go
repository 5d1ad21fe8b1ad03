package tamis_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"tamis.example/tamis"
	"tamis.example/tamis/tamisv1"
)

// scripted is a server that answers as it is told, for what a healthy one never does.
type scripted struct {
	tamisv1.UnimplementedSearchServiceServer
	tamisv1.UnimplementedIndexServiceServer

	guard    sync.Mutex
	failures []error // one for each attempt, until there are none left
	attempts int
	headers  metadata.MD
	left     time.Duration
	named    []string
	events   []*tamisv1.StreamSearchResponse
}

func (s *scripted) attempt(ctx context.Context, name string) error {
	s.guard.Lock()
	defer s.guard.Unlock()
	s.attempts++
	s.named = append(s.named, name)
	s.headers, _ = metadata.FromIncomingContext(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		s.left = time.Until(deadline)
	}
	if len(s.failures) == 0 {
		return nil
	}
	failure := s.failures[0]
	s.failures = s.failures[1:]
	_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "1"))
	return failure
}

func (s *scripted) Search(ctx context.Context, _ *tamisv1.SearchRequest) (*tamisv1.SearchResponse, error) {
	if err := s.attempt(ctx, ""); err != nil {
		return nil, err
	}
	return &tamisv1.SearchResponse{}, nil
}

func (s *scripted) CreateCollection(
	ctx context.Context, _ *tamisv1.CreateCollectionRequest,
) (*tamisv1.CreateCollectionResponse, error) {
	return nil, s.attempt(ctx, "")
}

func (s *scripted) DeleteDocuments(
	ctx context.Context, request *tamisv1.DeleteDocumentsRequest,
) (*tamisv1.DeleteDocumentsResponse, error) {
	if err := s.attempt(ctx, request.GetRequestId()); err != nil {
		return nil, err
	}
	return &tamisv1.DeleteDocumentsResponse{}, nil
}

func (s *scripted) WriteDocuments(stream tamisv1.IndexService_WriteDocumentsServer) error {
	for batch := int64(1); ; batch++ {
		request, err := stream.Recv()
		if err != nil {
			return nil
		}
		if err := s.attempt(stream.Context(), request.GetRequestId()); err != nil {
			return err
		}
		count := int32(len(request.GetDocuments()))
		if err := stream.Send(&tamisv1.WriteDocumentsResponse{Batch: batch, Sequence: batch, WrittenCount: count}); err != nil {
			return err
		}
	}
}

func (s *scripted) StreamSearch(
	_ *tamisv1.StreamSearchRequest, stream tamisv1.SearchService_StreamSearchServer,
) error {
	for _, each := range s.events {
		if err := stream.Send(each); err != nil {
			return err
		}
	}
	<-stream.Context().Done() // until the client is gone
	return stream.Context().Err()
}

func serve(t *testing.T, script *scripted, options ...tamis.Option) *tamis.Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	tamisv1.RegisterSearchServiceServer(server, script)
	tamisv1.RegisterIndexServiceServer(server, script)
	go func() { _ = server.Serve(listener) }()
	client, err := tamis.Dial(listener.Addr().String(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		server.Stop()
	})
	return client
}

func failing(code codes.Code, times int) []error {
	var failures []error
	for len(failures) < times {
		failures = append(failures, status.Error(code, "as told"))
	}
	return failures
}

func TestACallThatMeetsNoServerIsSentAgain(t *testing.T) {
	script := &scripted{failures: failing(codes.Unavailable, 2)}
	if _, err := serve(t, script).Search(context.Background(), &tamisv1.SearchRequest{}); err != nil {
		t.Fatal(err)
	}
	if script.attempts != 3 {
		t.Fatalf("%d attempts", script.attempts)
	}
}

func TestWhatPassedItsDeadlineOrWasRefusedIsNot(t *testing.T) {
	for _, code := range []codes.Code{codes.DeadlineExceeded, codes.ResourceExhausted, codes.Internal} {
		script := &scripted{failures: failing(code, 1)}
		_, err := serve(t, script).Search(context.Background(), &tamisv1.SearchRequest{})
		var failure *tamis.Error
		if !errors.As(err, &failure) || failure.Code != code || script.attempts != 1 {
			t.Fatalf("%v after %d attempts", err, script.attempts)
		}
	}
}

func TestWhatMayNotBeDoneTwiceIsSentOnce(t *testing.T) {
	script := &scripted{failures: failing(codes.Unavailable, 1)}
	_, err := serve(t, script).CreateCollection(context.Background(), &tamisv1.CreateCollectionRequest{})
	if err == nil || script.attempts != 1 {
		t.Fatalf("%v after %d attempts", err, script.attempts)
	}
}

func TestWithoutRetriesNothingIsSentAgain(t *testing.T) {
	script := &scripted{failures: failing(codes.Unavailable, 1)}
	_, err := serve(t, script, tamis.WithoutRetries()).Search(context.Background(), &tamisv1.SearchRequest{})
	if err == nil || script.attempts != 1 {
		t.Fatalf("%v after %d attempts", err, script.attempts)
	}
}

func TestTheCallsOfAClientShareABudget(t *testing.T) {
	script := &scripted{failures: failing(codes.Unavailable, 100)}
	client := serve(t, script)
	for range make([]int, 10) {
		if _, err := client.Search(context.Background(), &tamisv1.SearchRequest{}); err == nil {
			t.Fatal("answered")
		}
	}
	if script.attempts != 18 { // five, five, and one for each call once ten tokens are gone
		t.Fatalf("%d attempts", script.attempts)
	}
}

func TestADeletionSentAgainHasOneName(t *testing.T) {
	script := &scripted{failures: failing(codes.Unavailable, 1)}
	request := &tamisv1.DeleteDocumentsRequest{Collection: "docs", DocumentIds: []string{"a"}}
	if _, err := serve(t, script).DeleteDocuments(context.Background(), request); err != nil {
		t.Fatal(err)
	}
	if len(script.named) != 2 || script.named[0] == "" || script.named[0] != script.named[1] || request.RequestId != "" {
		t.Fatal(script.named, request.RequestId)
	}
}

func TestWritesGoInNamedBatchesOverOneStreamAfterAnother(t *testing.T) {
	script := &scripted{}
	documents := make([]*tamisv1.Document, 64*16+1)
	for place := range documents {
		documents[place] = &tamisv1.Document{Id: fmt.Sprint(place), Text: "text"}
	}
	written, err := serve(t, script).Write(context.Background(), "docs", documents...)
	if err != nil || written.WrittenCount != len(documents) || written.Sequence != 16 {
		t.Fatal(written, err)
	}
	names := map[string]bool{}
	for _, each := range script.named {
		names[each] = true
	}
	if len(script.named) != 17 || len(names) != 17 || names[""] {
		t.Fatal(script.named)
	}
}

func TestABrokenWriteSaysWhatWasAcknowledged(t *testing.T) {
	script := &scripted{failures: []error{nil, status.Error(codes.ResourceExhausted, "full")}}
	documents := make([]*tamisv1.Document, 65)
	for place := range documents {
		documents[place] = &tamisv1.Document{Id: fmt.Sprint(place), Text: "text"}
	}
	written, err := serve(t, script).Write(context.Background(), "docs", documents...)
	var failure *tamis.Error
	if !errors.As(err, &failure) || failure.Code != codes.ResourceExhausted || written.WrittenCount != 64 {
		t.Fatal(written, err)
	}
}

func TestEveryCallHasADeadline(t *testing.T) {
	script := &scripted{}
	client := serve(t, script, tamis.WithTimeout(7*time.Second))
	_, _ = client.Search(context.Background(), &tamisv1.SearchRequest{})
	if script.left <= 0 || script.left > 7*time.Second {
		t.Fatal(script.left)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	_, _ = client.Search(ctx, &tamisv1.SearchRequest{})
	if script.left < 50*time.Minute {
		t.Fatal(script.left)
	}
	_, _ = client.Write(context.Background(), "docs", &tamisv1.Document{Id: "a"})
	if script.left <= 7*time.Second || script.left > 60*time.Second {
		t.Fatal(script.left)
	}
}

func TestWhatIsSentWithEveryCall(t *testing.T) {
	script := &scripted{}
	client := serve(t, script, tamis.WithToken("secret"), tamis.WithTenant("acme"), tamis.WithMetadata("X-Api-Key", "k"))
	if _, err := client.Search(context.Background(), &tamisv1.SearchRequest{}); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"authorization": "Bearer secret", "x-tamis-tenant": "acme", "x-api-key": "k"} {
		if found := script.headers.Get(key); len(found) != 1 || found[0] != value {
			t.Fatal(key, found)
		}
	}
}

func TestATokenNeedsTLS(t *testing.T) {
	if _, err := tamis.Dial("search.example:443", tamis.WithToken("secret")); err == nil {
		t.Fatal("a token would travel in the clear")
	}
	for _, address := range []string{"localhost:1", "127.0.0.1:1", "[::1]:1", "dns:///localhost:1", "unix:/run/tamis"} {
		client, err := tamis.Dial(address, tamis.WithToken("secret"))
		if err != nil {
			t.Fatal(address, err)
		}
		_ = client.Close()
	}
}

func TestAStreamFillsInTextsAndSkipsWhatItDoesNotKnow(t *testing.T) {
	revised := func(revision int32, passage *tamisv1.Passage) *tamisv1.StreamSearchResponse {
		hits := []*tamisv1.Hit{{Passage: passage}}
		event := &tamisv1.HitsRevised{Revision: revision, Hits: hits}
		return &tamisv1.StreamSearchResponse{Event: &tamisv1.StreamSearchResponse_HitsRevised{HitsRevised: event}}
	}
	script := &scripted{events: []*tamisv1.StreamSearchResponse{
		revised(1, &tamisv1.Passage{Id: "a", Text: "whole"}),
		{}, // an event of a newer server
		revised(2, &tamisv1.Passage{Id: "a"}),
	}}
	stream, err := serve(t, script).StreamSearch(context.Background(), &tamisv1.StreamSearchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for revision := int32(1); revision <= 2; revision++ {
		event, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		found := event.(tamis.HitsRevised)
		if found.Revision != revision || found.Hits[0].Passage.Text != "whole" {
			t.Fatal(found)
		}
	}
	stream.Close()
	if _, err := stream.Recv(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
