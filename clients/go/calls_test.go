package tamis_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tamis.example/tamis"
	"tamis.example/tamis/tamisv1"
)

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

func TestAnEmptyTokenIsNone(t *testing.T) {
	source := func() (string, error) { return "", nil }
	for _, option := range []tamis.Option{tamis.WithToken(""), tamis.WithTokenSource(source)} {
		script := &scripted{}
		if _, err := serve(t, script, option).Search(context.Background(), &tamisv1.SearchRequest{}); err != nil {
			t.Fatal(err)
		}
		if found := script.headers.Get("authorization"); len(found) != 0 {
			t.Fatal(found)
		}
	}
	client, err := tamis.Dial("search.example:443", tamis.WithToken(""))
	if err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
}

func TestAnErrorOfTheTokenSourceIsThatOfTheCall(t *testing.T) {
	script, missing := &scripted{}, errors.New("no such file")
	client := serve(t, script, tamis.WithTokenSource(func() (string, error) { return "", missing }))
	_, unary := client.Search(context.Background(), &tamisv1.SearchRequest{})
	_, stream := client.StreamSearch(context.Background(), &tamisv1.StreamSearchRequest{})
	if unary != missing || stream != missing || script.attempts != 0 {
		t.Fatal(unary, stream, script.attempts)
	}
}

func TestAnInterceptorOfTheCallersLeavesTheClientsOwn(t *testing.T) {
	script, count := &scripted{}, 0
	theirs := func(
		ctx context.Context, method string, request, reply any,
		connection *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
	) error {
		count++
		return invoke(ctx, method, request, reply, connection, options...)
	}
	client := serve(t, script, tamis.WithToken("secret"), tamis.WithDialOptions(grpc.WithUnaryInterceptor(theirs)))
	if _, err := client.Search(context.Background(), &tamisv1.SearchRequest{}); err != nil {
		t.Fatal(err)
	}
	if count != 1 || len(script.headers.Get("authorization")) != 1 || script.left <= 0 {
		t.Fatal(count, script.headers, script.left)
	}
}

func TestATimeoutIsAboveZero(t *testing.T) {
	if _, err := tamis.Dial("localhost:1", tamis.WithTimeout(0)); err == nil {
		t.Fatal("no call could be made")
	}
}

func TestCloseEndsTheCallsUnderWay(t *testing.T) {
	for _, options := range [][]tamis.Option{nil, {tamis.WithoutRetries()}} {
		script := &scripted{hangs: make(chan struct{}), events: []*tamisv1.StreamSearchResponse{revised(1, nil)}}
		client := serve(t, script, options...)
		stream, err := client.StreamSearch(context.Background(), &tamisv1.StreamSearchRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		go func() {
			<-script.hangs
			_ = client.Close()
		}()
		_, unary := client.Search(context.Background(), &tamisv1.SearchRequest{})
		_, streamed := stream.Recv()
		_, late := client.Search(context.Background(), &tamisv1.SearchRequest{})
		for _, each := range []error{unary, streamed, late} {
			if !errors.Is(each, context.Canceled) {
				t.Fatal(unary, streamed, late)
			}
		}
	}
}

func TestABatchOfWhichTheServerLeavesSomethingOutSaysSo(t *testing.T) {
	whole := &tamisv1.BatchSearchResponse_Response{Response: &tamisv1.SearchResponse{}}
	script := &scripted{answers: []*tamisv1.BatchSearchResponse{{RequestIndex: 0, Result: whole}, {RequestIndex: 1}}}
	client := serve(t, script)
	searches := []*tamisv1.SearchRequest{{}, {}, {}}
	outcomes, err := client.BatchSearch(context.Background(), searches...)
	if err != nil || outcomes[0].Err != nil || outcomes[1].Err == nil || outcomes[2].Err == nil {
		t.Fatal(outcomes, err)
	}
	for _, place := range []int32{-1, 3} {
		script.answers = []*tamisv1.BatchSearchResponse{{RequestIndex: place, Result: whole}}
		if _, err := client.BatchSearch(context.Background(), searches...); err == nil {
			t.Fatal(place)
		}
	}
}

func TestATokenNeedsTLS(t *testing.T) {
	for _, address := range []string{"search.example:443", "search.example:443/localhost:1", "dns://search.example/localhost:1"} {
		if _, err := tamis.Dial(address, tamis.WithToken("secret")); err == nil {
			t.Fatal("a token would travel in the clear to", address)
		}
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
