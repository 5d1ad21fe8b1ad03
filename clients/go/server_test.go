package tamis_test

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"tamis.example/tamis"
	"tamis.example/tamis/tamisv1"
)

const shared = "go-shared"

var isThere sync.Once

// real is a client of the server at TAMIS_ADDRESS, which has the shared collection.
func real(t *testing.T) (context.Context, *tamis.Client) {
	t.Helper()
	address := os.Getenv("TAMIS_ADDRESS")
	if address == "" {
		t.Skip("TAMIS_ADDRESS names no server")
	}
	client, err := tamis.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	ctx := context.Background()
	isThere.Do(func() {
		_ = client.DeleteCollection(ctx, shared) // of a run before
		fill(ctx, t, client, shared)
	})
	return ctx, client
}

func fill(ctx context.Context, t *testing.T, client *tamis.Client, collection string) {
	t.Helper()
	if _, err := client.CreateCollection(ctx, &tamisv1.CreateCollectionRequest{Collection: collection}); err != nil {
		t.Fatal(err)
	}
	written, err := client.Write(ctx, collection,
		&tamisv1.Document{Id: "a", Text: "A drum sieve makes a sauce smooth. 🍲", Metadata: tamis.Metadata{"year": tamis.Int(2024)}},
		&tamisv1.Document{Id: "b", Text: "A wooden spoon stirs the smooth sauce.", Metadata: tamis.Metadata{"year": tamis.Int(2019)}},
		&tamisv1.Document{Id: "c", Text: "The kettle sings.", Metadata: tamis.Metadata{"old.name": tamis.Null()}},
	)
	if err != nil || written.WrittenCount != 3 {
		t.Fatal(written, err)
	}
	states, err := client.WaitIndexed(ctx, collection, written.Sequence)
	if err != nil || len(states) == 0 || states[0].AppliedSequence < written.Sequence {
		t.Fatal(states, err)
	}
}

func TestASearchFindsWhatTheFilterLets(t *testing.T) {
	ctx, client := real(t)
	for _, each := range []struct {
		filter *tamisv1.Filter
		wanted string
	}{
		{nil, "ab"},
		{tamis.Field("year").GreaterThan(tamis.Int(2019)), "a"},
		{tamis.Not(tamis.Field("year").Equals(tamis.Float(2024))), "b"},
		{tamis.Field("year").OneOf(tamis.Int(2019), tamis.Int(2024)), "ab"},
		{tamis.FieldNamed("old.name").Exists(), ""},
	} {
		request := &tamisv1.SearchRequest{Collection: shared, Query: "smooth sauce", Pipeline: "bm25", Filter: each.filter}
		response, err := client.Search(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, hit := range response.Hits {
			found[hit.Passage.DocumentId] = true
		}
		if len(found) != len(each.wanted) {
			t.Fatal(found, each.wanted)
		}
		for _, wanted := range each.wanted {
			if !found[string(wanted)] {
				t.Fatal(found, each.wanted)
			}
		}
	}
}

func TestAStreamKeepsItsGrammar(t *testing.T) {
	ctx, client := real(t)
	stream, err := client.StreamSearch(ctx, &tamisv1.StreamSearchRequest{Collection: shared, Query: "smooth sauce"})
	if err != nil {
		t.Fatal(err)
	}
	revision, stages, answer, hasEnded := int32(0), 0, "", false
	stream.All()(func(event tamis.Event, err error) bool {
		if err != nil || hasEnded {
			t.Fatal(err, hasEnded)
		}
		switch event := event.(type) {
		case tamis.HitsRevised:
			revision++
			if event.Revision != revision || len(event.Hits) == 0 {
				t.Fatal(event)
			}
			for _, each := range event.Hits {
				if each.Passage.Text == "" {
					t.Fatal("a passage without its text")
				}
			}
		case tamis.StageCompleted:
			stages++
			if event.Outcome == tamisv1.StageOutcome_STAGE_OUTCOME_UNSPECIFIED {
				t.Fatal(event)
			}
		case tamis.AnswerDelta:
			answer += event.Text
			for _, each := range event.Citations {
				_ = tamis.TextOf(each.AnswerSpan, answer)
			}
		case tamis.Completed:
			hasEnded = event.Revision == revision && len(event.StageReports) == stages
		}
		return true
	})
	if !hasEnded || answer == "" {
		t.Fatal(hasEnded, answer)
	}
	if _, err := stream.Recv(); err != io.EOF {
		t.Fatal(err)
	}
}

func TestErrorsSayWhy(t *testing.T) {
	ctx, client := real(t)
	_, err := client.Document(ctx, shared, "nobody")
	var failure *tamis.Error
	if !errors.As(err, &failure) || failure.Reason != tamis.ReasonNotFound || failure.Metadata["name"] != "nobody" {
		t.Fatal(err)
	}
	_, err = client.Search(ctx, &tamisv1.SearchRequest{Collection: shared, Query: "x", Pipeline: "bm25 >>"})
	if !errors.As(err, &failure) || failure.Reason != tamis.ReasonInvalidExpression || failure.Violations[0].Field != "pipeline" {
		t.Fatal(err)
	}
	stream, err := client.StreamSearch(ctx, &tamisv1.StreamSearchRequest{Collection: "nowhere", Query: "x"})
	if err == nil {
		_, err = stream.Recv()
	}
	if tamis.ReasonOf(err) != tamis.ReasonNotFound {
		t.Fatal(err)
	}
	_, err = client.CreateCollection(ctx, &tamisv1.CreateCollectionRequest{Collection: shared})
	if tamis.ReasonOf(err) != tamis.ReasonAlreadyExists {
		t.Fatal(err)
	}
	expired, cancel := context.WithDeadline(ctx, time.Now())
	defer cancel()
	_, err = client.ServerInfo(expired)
	if !errors.Is(err, context.DeadlineExceeded) || tamis.ReasonOf(err) != "" {
		t.Fatal(err)
	}
	nobody, err := tamis.Dial("127.0.0.1:1", tamis.WithoutRetries())
	if err != nil {
		t.Fatal(err)
	}
	_, err = nobody.ServerInfo(ctx)
	if !errors.As(err, &failure) || failure.Code != codes.Unavailable || failure.Reason != "" {
		t.Fatal(err)
	}
}

func TestListsGoThroughAllPages(t *testing.T) {
	ctx, client := real(t)
	ids := ""
	documents := client.Documents(ctx, shared)
	for documents.Next() {
		ids += documents.Item().Id
	}
	if documents.Err() != nil || ids != "abc" {
		t.Fatal(ids, documents.Err())
	}
	request := &tamisv1.RetrieveRequest{Collection: shared, Query: "smooth sauce", Pipeline: "bm25", PageSize: 1}
	pages := 0
	client.Pages(ctx, request).All()(func(page *tamisv1.RetrieveResponse, err error) bool {
		if err != nil {
			t.Fatal(err)
		}
		pages += len(page.Hits)
		return true
	})
	if pages != 2 || request.PageToken != "" {
		t.Fatal(pages, request.PageToken)
	}
	missing := client.Documents(ctx, "nowhere")
	if missing.Next() || tamis.ReasonOf(missing.Err()) != tamis.ReasonNotFound {
		t.Fatal(missing.Err())
	}
	plugins := client.Plugins(ctx)
	if !plugins.Next() || plugins.Item().Name == "" {
		t.Fatal(plugins.Err())
	}
}

func TestDocumentsChangeAndGo(t *testing.T) {
	ctx, client := real(t)
	fill(ctx, t, client, "go-documents")
	defer func() { _ = client.DeleteCollection(ctx, "go-documents") }()
	patch := &tamisv1.MetadataPatch{DocumentId: "a", Metadata: tamis.Metadata{"year": tamis.Int(2030)}}
	request := &tamisv1.PatchMetadataRequest{Collection: "go-documents", Patches: []*tamisv1.MetadataPatch{patch}}
	if _, err := client.PatchMetadata(ctx, request); err != nil {
		t.Fatal(err)
	}
	document, err := client.Document(ctx, "go-documents", "a")
	if err != nil || tamis.Native(document.Metadata["year"]) != int64(2030) {
		t.Fatal(document, err)
	}
	deleted, err := client.DeleteDocuments(ctx, &tamisv1.DeleteDocumentsRequest{
		Collection: "go-documents", Filter: tamis.Field("year").Equals(tamis.Int(2030)),
	})
	if err != nil || deleted.DeletedCount != 1 {
		t.Fatal(deleted, err)
	}
}

func TestPassagesOfYourOwn(t *testing.T) {
	ctx, client := real(t)
	passages := []*tamisv1.Passage{{Id: "a", Text: "Holidays."}, {Id: "b", Text: "Parental leave is twelve weeks."}}
	response, err := client.Rerank(ctx, &tamisv1.RerankRequest{Query: "parental leave", Passages: passages, Pipeline: "late"})
	if err != nil || response.Hits[0].Passage != passages[1] {
		t.Fatal(response, err)
	}
	stream, err := client.Generate(ctx, &tamisv1.GenerateRequest{Query: "parental leave", Passages: passages})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	answer := ""
	for {
		event, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if delta, ok := event.(tamis.AnswerDelta); ok {
			answer += delta.Text
		}
	}
	if answer != passages[1].Text {
		t.Fatal(answer)
	}
}

func TestSeveralSearchesAtOnce(t *testing.T) {
	ctx, client := real(t)
	outcomes, err := client.BatchSearch(ctx,
		&tamisv1.SearchRequest{Collection: shared, Query: "smooth sauce"},
		&tamisv1.SearchRequest{Collection: shared, Query: "x", PageSize: -1},
	)
	if err != nil || len(outcomes) != 2 || len(outcomes[0].Response.GetHits()) == 0 || outcomes[0].Err != nil {
		t.Fatal(outcomes, err)
	}
	var failure *tamis.Error
	if !errors.As(outcomes[1].Err, &failure) || failure.Reason != tamis.ReasonInvalidRequest || failure.Violations[0].Field != "page_size" {
		t.Fatal(outcomes[1].Err)
	}
}
