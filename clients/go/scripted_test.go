package tamis_test

import (
	"context"
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
	answers  []*tamisv1.BatchSearchResponse
	hangs    chan struct{} // closed by a search that then waits for its caller to leave
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
	if s.hangs != nil {
		close(s.hangs)
		<-ctx.Done()
	}
	return &tamisv1.SearchResponse{}, nil
}

func (s *scripted) BatchSearch(
	_ *tamisv1.BatchSearchRequest, stream tamisv1.SearchService_BatchSearchServer,
) error {
	for _, each := range s.answers {
		if err := stream.Send(each); err != nil {
			return err
		}
	}
	return nil
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

func revised(revision int32, passage *tamisv1.Passage) *tamisv1.StreamSearchResponse {
	event := &tamisv1.HitsRevised{Revision: revision, Hits: []*tamisv1.Hit{{Passage: passage}}}
	return &tamisv1.StreamSearchResponse{Event: &tamisv1.StreamSearchResponse_HitsRevised{HitsRevised: event}}
}

func failing(code codes.Code, times int) []error {
	var failures []error
	for len(failures) < times {
		failures = append(failures, status.Error(code, "as told"))
	}
	return failures
}
