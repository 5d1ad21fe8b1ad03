package tamis

import (
	"context"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"tamis.example/tamis/tamisv1"
)

// Search runs a whole pipeline: hits and, where it has a generator, an answer.
func (c *Client) Search(ctx context.Context, request *tamisv1.SearchRequest) (*tamisv1.SearchResponse, error) {
	return c.search.Search(ctx, request)
}

// Retrieve runs the retrieving part of a pipeline.
func (c *Client) Retrieve(ctx context.Context, request *tamisv1.RetrieveRequest) (*tamisv1.RetrieveResponse, error) {
	return c.search.Retrieve(ctx, request)
}

// Pages retrieves one page after another, to the end of what the pipeline finds.
func (c *Client) Pages(ctx context.Context, request *tamisv1.RetrieveRequest) *List[*tamisv1.RetrieveResponse] {
	next := proto.Clone(request).(*tamisv1.RetrieveRequest)
	return newList(func(token string) ([]*tamisv1.RetrieveResponse, string, error) {
		if token != "" {
			next.PageToken = token
		}
		page, err := c.search.Retrieve(ctx, next)
		return []*tamisv1.RetrieveResponse{page}, page.GetNextPageToken(), err
	})
}

// StreamSearch gives the events of a search as they come.
func (c *Client) StreamSearch(ctx context.Context, request *tamisv1.StreamSearchRequest) (*Stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	opened, err := c.search.StreamSearch(ctx, request)
	if err != nil {
		cancel()
		return nil, err
	}
	return newStream(nil, cancel, opened.Recv), nil
}

// Rerank orders passages of yours by the rerankers of a pipeline. The hits have the passages of the request.
func (c *Client) Rerank(ctx context.Context, request *tamisv1.RerankRequest) (*tamisv1.RerankResponse, error) {
	response, err := c.search.Rerank(ctx, request)
	if err != nil {
		return nil, err
	}
	filler := newStream[any](request.GetPassages(), nil, nil)
	for _, each := range response.GetHits() {
		filler.fill(each)
	}
	return response, nil
}

// StreamRerank gives the events of a reranking as they come.
func (c *Client) StreamRerank(ctx context.Context, request *tamisv1.StreamRerankRequest) (*Stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	opened, err := c.search.StreamRerank(ctx, request)
	if err != nil {
		cancel()
		return nil, err
	}
	return newStream(request.GetPassages(), cancel, opened.Recv), nil
}

// Generate gives an answer from passages of yours, best first, as it is written.
func (c *Client) Generate(ctx context.Context, request *tamisv1.GenerateRequest) (*Stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	opened, err := c.search.Generate(ctx, request)
	if err != nil {
		cancel()
		return nil, err
	}
	return newStream(nil, cancel, opened.Recv), nil
}

// Outcome is what became of one of several searches: a response, or an *Error.
type Outcome struct {
	Response *tamisv1.SearchResponse
	Err      error
}

// BatchSearch runs several searches, at most 100, side by side, and returns what became of each, in their order. One
// that fails does not fail the others.
func (c *Client) BatchSearch(ctx context.Context, requests ...*tamisv1.SearchRequest) ([]Outcome, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opened, err := c.search.BatchSearch(ctx, &tamisv1.BatchSearchRequest{Requests: requests})
	if err != nil {
		return nil, err
	}
	outcomes := make([]Outcome, len(requests))
	for {
		message, err := opened.Recv()
		if err == io.EOF {
			return answered(outcomes), nil
		}
		if err != nil {
			return nil, err
		}
		place := int(message.GetRequestIndex())
		if place < 0 || place >= len(outcomes) {
			return nil, errorOf(status.Errorf(codes.Internal, "the server answered a search %d of %d", place, len(outcomes)))
		}
		outcome := &outcomes[place]
		outcome.Response = message.GetResponse()
		if failure := message.GetFailure(); failure != nil {
			outcome.Err = errorOfFailure(failure)
		}
	}
}

// answered gives an *Error to those of which the server said nothing that this client knows.
func answered(outcomes []Outcome) []Outcome {
	for place := range outcomes {
		if each := &outcomes[place]; each.Response == nil && each.Err == nil {
			each.Err = errorOf(status.Error(codes.Internal, "the server did not answer this search"))
		}
	}
	return outcomes
}

func errorOfFailure(failure *tamisv1.SearchFailure) error {
	code := codes.Code(failure.GetCode())
	err := &Error{
		Code: code, Message: failure.GetMessage(), Reason: failure.GetReason(),
		status: status.New(code, failure.GetMessage()),
	}
	for _, each := range failure.GetViolations() {
		err.Violations = append(err.Violations, violationOf(each))
	}
	return err
}
