package tamis

import (
	"context"
	"io"

	"google.golang.org/protobuf/proto"

	"tamis.example/tamis/tamisv1"
)

const (
	batchDocuments = 64
	batchBytes     = 4 << 20
	streamBatches  = 16 // what one deadline is for
)

// Written is what was acknowledged, and is durable. Wait for Sequence to find it.
type Written struct {
	Sequence                     int64
	WrittenCount, UnchangedCount int
}

// Write writes documents, or new versions of them, and returns once all are durable.
//
// They travel in batches, of which the server writes each whole or not at all. After an error Written says what was
// acknowledged before; writing all of it again is safe, as what has not changed costs nothing. Without a deadline in the
// context every thousand documents have 60 seconds.
func (c *Client) Write(ctx context.Context, collection string, documents ...*tamisv1.Document) (Written, error) {
	var total Written
	batches := batched(collection, documents)
	for len(batches) > 0 {
		count := len(batches)
		if count > streamBatches {
			count = streamBatches
		}
		if err := c.writeStream(ctx, batches[:count], &total); err != nil {
			return total, err
		}
		batches = batches[count:]
	}
	return total, nil
}

func (c *Client) writeStream(ctx context.Context, batches []*tamisv1.WriteDocumentsRequest, total *Written) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.index.WriteDocuments(ctx)
	if err != nil {
		return err
	}
	for _, each := range batches {
		if err := stream.Send(each); err == io.EOF {
			break // Recv says why
		} else if err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return errorOf(err)
	}
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if answer.GetSequence() > total.Sequence {
			total.Sequence = answer.GetSequence()
		}
		total.WrittenCount += int(answer.GetWrittenCount())
		total.UnchangedCount += int(answer.GetUnchangedCount())
	}
}

func batched(collection string, documents []*tamisv1.Document) []*tamisv1.WriteDocumentsRequest {
	var batches []*tamisv1.WriteDocumentsRequest
	var last *tamisv1.WriteDocumentsRequest
	size := 0
	for _, each := range documents {
		bytes := proto.Size(each)
		if last == nil || len(last.Documents) == batchDocuments || size+bytes > batchBytes {
			last = &tamisv1.WriteDocumentsRequest{Collection: collection, RequestId: newRequestID()}
			batches, size = append(batches, last), 0
		}
		last.Documents, size = append(last.Documents, each), size+bytes
	}
	return batches
}
