// Indexes three documents, searches them with a filter and a deadline, and shows what comes back.
//
//	go run ./example [HOST:PORT]
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"tamis.example/tamis"
	"tamis.example/tamis/tamisv1"
)

const collection = "go-example"

var documents = []*tamisv1.Document{
	{
		Id: "leave", Title: "Leave",
		Text:     "Parental leave 👶🏽 is twelve weeks, paid in full. Ask Zoë before you plan your leave.",
		Metadata: tamis.Metadata{"year": tamis.Int(2024), "lang": tamis.String("en")},
	},
	{
		Id: "travel", Title: "Travel",
		Text:     "Trains 🚆 are booked by everyone alone. Travel on leave is private.",
		Metadata: tamis.Metadata{"year": tamis.Int(2023), "lang": tamis.String("en")},
	},
	{
		Id: "leave-2009", Title: "Leave, until 2009",
		Text:     "Parental leave is two weeks, unpaid.",
		Metadata: tamis.Metadata{"year": tamis.Int(2009), "lang": tamis.String("en")},
	},
}

func main() {
	address := "127.0.0.1:7601"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	client, err := tamis.Dial(address)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()
	if err := index(ctx, client); err != nil {
		log.Fatal(err)
	}
	if err := search(ctx, client); err != nil {
		log.Fatal(err)
	}
	mistake(ctx, client)
}

func index(ctx context.Context, client *tamis.Client) error {
	_, err := client.CreateCollection(ctx, &tamisv1.CreateCollectionRequest{Collection: collection, Language: "en"})
	if err != nil && tamis.ReasonOf(err) != tamis.ReasonAlreadyExists {
		return err
	}
	written, err := client.Write(ctx, collection, documents...)
	if err != nil {
		return err
	}
	fmt.Printf("documents: %d written, %d unchanged\n\n", written.WrittenCount, written.UnchangedCount)
	_, err = client.WaitIndexed(ctx, collection, written.Sequence)
	return err
}

func search(ctx context.Context, client *tamis.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // the budget that the server spends
	defer cancel()
	stream, err := client.StreamSearch(ctx, &tamisv1.StreamSearchRequest{
		Collection: collection,
		Query:      "parental leave",
		Filter:     tamis.AllOf(tamis.Field("year").AtLeast(tamis.Int(2020)), tamis.Field("lang").Equals(tamis.String("en"))),
	})
	if err != nil {
		return err
	}
	defer stream.Close()
	var hits []*tamisv1.Hit
	var answer strings.Builder
	var citations []*tamisv1.Citation
	for {
		event, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		switch event := event.(type) {
		case tamis.HitsRevised:
			hits = event.Hits
			fmt.Printf("  revision %d, by %s: %s\n", event.Revision, event.Stage, ids(hits))
		case tamis.StageCompleted:
			fmt.Printf("%-22s %s, %d of %d\n", event.Stage, word(event.Outcome), event.DoneCount, event.TotalCount)
		case tamis.AnswerDelta:
			answer.WriteString(event.Text)
			citations = append(citations, event.Citations...)
		case tamis.Completed:
			fmt.Printf("completed: revision %d stands; %s\n\n", event.Revision, word(event.FinishReason))
		}
	}
	for _, hit := range hits {
		fmt.Printf("%s, of %v: %s\n", hit.Passage.DocumentId, tamis.Native(hit.Passage.Metadata["year"]), hit.Passage.Text)
	}
	fmt.Printf("\nanswer: %s\n", answer.String())
	for _, each := range citations {
		start, end := tamis.Runes(each.AnswerSpan, answer.String())
		fmt.Printf("  bytes %d to %d, runes %d to %d: from %s, %q\n", each.AnswerSpan.Start, each.AnswerSpan.End,
			start, end, each.DocumentId, tamis.TextOf(each.AnswerSpan, answer.String()))
	}
	return nil
}

func mistake(ctx context.Context, client *tamis.Client) {
	_, err := client.Search(ctx, &tamisv1.SearchRequest{Collection: "nowhere", Query: "leave"})
	var failure *tamis.Error
	if errors.As(err, &failure) && failure.Reason == tamis.ReasonNotFound {
		fmt.Printf("\nthere is no %s %q; its reason is %s\n", failure.Metadata["kind"], failure.Metadata["name"], failure.Reason)
	}
}

func ids(hits []*tamisv1.Hit) string {
	var found []string
	for _, each := range hits {
		found = append(found, each.Passage.DocumentId)
	}
	return strings.Join(found, ", ")
}

// word is the last word of an enumeration's name: RAN of STAGE_OUTCOME_RAN.
func word(value fmt.Stringer) string {
	name := value.String()
	return strings.ToLower(name[strings.LastIndex(name, "_")+1:])
}
