package tamis

import (
	"context"

	"tamis.example/tamis/tamisv1"
)

const pageSize = 100

// CreateCollection returns an *Error with ReasonAlreadyExists if there is one of that id. It is not sent again.
func (c *Client) CreateCollection(
	ctx context.Context, request *tamisv1.CreateCollectionRequest,
) (*tamisv1.Collection, error) {
	response, err := c.index.CreateCollection(ctx, request)
	return response.GetCollection(), err
}

// Collection returns an *Error with ReasonNotFound if there is none of that id.
func (c *Client) Collection(ctx context.Context, collection string) (*tamisv1.Collection, error) {
	response, err := c.index.GetCollection(ctx, &tamisv1.GetCollectionRequest{Collection: collection})
	return response.GetCollection(), err
}

// Collections lists all, by id.
func (c *Client) Collections(ctx context.Context) *List[*tamisv1.Collection] {
	return newList(func(token string) ([]*tamisv1.Collection, string, error) {
		page, err := c.index.ListCollections(ctx, &tamisv1.ListCollectionsRequest{PageSize: pageSize, PageToken: token})
		return page.GetCollections(), page.GetNextPageToken(), err
	})
}

// DeleteCollection deletes it with all that is in it. It is not sent again.
func (c *Client) DeleteCollection(ctx context.Context, collection string) error {
	_, err := c.index.DeleteCollection(ctx, &tamisv1.DeleteCollectionRequest{Collection: collection})
	return err
}

// Document returns an *Error with ReasonNotFound if there is none of that id.
func (c *Client) Document(ctx context.Context, collection, document string) (*tamisv1.Document, error) {
	request := &tamisv1.GetDocumentRequest{Collection: collection, DocumentId: document}
	response, err := c.index.GetDocument(ctx, request)
	return response.GetDocument(), err
}

// Documents lists all, by id, without their texts.
func (c *Client) Documents(ctx context.Context, collection string) *List[*tamisv1.Document] {
	return newList(func(token string) ([]*tamisv1.Document, string, error) {
		request := &tamisv1.ListDocumentsRequest{Collection: collection, PageSize: pageSize, PageToken: token}
		page, err := c.index.ListDocuments(ctx, request)
		return page.GetDocuments(), page.GetNextPageToken(), err
	})
}

// DeleteDocuments deletes by ids, at most 1,000, or by a filter, all or none. It is sent again under its request id,
// which is made up if it is empty.
func (c *Client) DeleteDocuments(
	ctx context.Context, request *tamisv1.DeleteDocumentsRequest,
) (*tamisv1.DeleteDocumentsResponse, error) {
	return c.index.DeleteDocuments(ctx, request)
}

// PatchMetadata changes the metadata of at most 1,000 documents, all or none. It is sent again as DeleteDocuments is.
func (c *Client) PatchMetadata(
	ctx context.Context, request *tamisv1.PatchMetadataRequest,
) (*tamisv1.PatchMetadataResponse, error) {
	return c.index.PatchMetadata(ctx, request)
}

// DeadLetters lists the documents that an index could not take.
func (c *Client) DeadLetters(ctx context.Context, collection string) *List[*tamisv1.DeadLetter] {
	return newList(func(token string) ([]*tamisv1.DeadLetter, string, error) {
		request := &tamisv1.ListDeadLettersRequest{Collection: collection, PageSize: pageSize, PageToken: token}
		page, err := c.index.ListDeadLetters(ctx, request)
		return page.GetDeadLetters(), page.GetNextPageToken(), err
	})
}

// RetryDeadLetters has the indexes try again; all dead letters without ids. It is not sent again.
func (c *Client) RetryDeadLetters(
	ctx context.Context, collection string, documents ...string,
) (*tamisv1.RetryDeadLettersResponse, error) {
	request := &tamisv1.RetryDeadLettersRequest{Collection: collection, DocumentIds: documents}
	return c.index.RetryDeadLetters(ctx, request)
}

// WaitIndexed returns once everything up to a sequence can be found; 0 stands for everything written so far.
func (c *Client) WaitIndexed(ctx context.Context, collection string, sequence int64) ([]*tamisv1.IndexState, error) {
	response, err := c.index.WaitIndexed(ctx, &tamisv1.WaitIndexedRequest{Collection: collection, Sequence: sequence})
	return response.GetIndexes(), err
}

// Pipelines lists the configured ones, by name.
func (c *Client) Pipelines(ctx context.Context) *List[*tamisv1.Pipeline] {
	return newList(func(token string) ([]*tamisv1.Pipeline, string, error) {
		page, err := c.catalog.ListPipelines(ctx, &tamisv1.ListPipelinesRequest{PageToken: token})
		return page.GetPipelines(), page.GetNextPageToken(), err
	})
}

// Plugins lists the installed ones, by group and name.
func (c *Client) Plugins(ctx context.Context) *List[*tamisv1.Plugin] {
	return newList(func(token string) ([]*tamisv1.Plugin, string, error) {
		page, err := c.catalog.ListPlugins(ctx, &tamisv1.ListPluginsRequest{PageToken: token})
		return page.GetPlugins(), page.GetNextPageToken(), err
	})
}

// ServerInfo tells the server's version and limits.
func (c *Client) ServerInfo(ctx context.Context) (*tamisv1.GetServerInfoResponse, error) {
	return c.catalog.GetServerInfo(ctx, &tamisv1.GetServerInfoRequest{})
}
