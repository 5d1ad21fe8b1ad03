// Package tamis is a client of Tamis: searches, answers and documents over gRPC.
//
// A Client adds to the generated stubs what every caller needs: a deadline for each call, errors with a reason, retries
// where they are safe, streams of typed events, filters and metadata as Go values. Requests and responses are the
// generated messages of package tamisv1, whose comments are the reference.
package tamis

//go:generate ./generate.sh

import (
	"fmt"

	"google.golang.org/grpc"

	"tamis.example/tamis/tamisv1"
)

// A Client is a connection to a server. It may be used by several goroutines at once. Its methods return an *Error.
//
// Every call has a deadline: that of its context, or else the timeout of the client. Of a search it is the budget that
// the server spends.
type Client struct {
	connection *grpc.ClientConn
	settings   *settings
	search     tamisv1.SearchServiceClient
	index      tamisv1.IndexServiceClient
	catalog    tamisv1.CatalogServiceClient
}

// Dial makes a client of the server at HOST:PORT. It connects when first used.
func Dial(address string, options ...Option) (*Client, error) {
	chosen := &settings{timeout: defaultTimeout}
	for _, each := range options {
		each(chosen)
	}
	if chosen.timeout <= 0 {
		return nil, fmt.Errorf("tamis: a timeout of %s lets no call through", chosen.timeout)
	}
	if chosen.token != nil && chosen.tls == nil && !isLoopback(address) {
		return nil, fmt.Errorf("tamis: a token needs TLS, or whoever is on the way could read it: pass WithTLS")
	}
	connection, err := grpc.Dial(address, chosen.dialOptions()...)
	if err != nil {
		return nil, fmt.Errorf("tamis: %w", err)
	}
	return &Client{
		connection: connection,
		settings:   chosen,
		search:     tamisv1.NewSearchServiceClient(connection),
		index:      tamisv1.NewIndexServiceClient(connection),
		catalog:    tamisv1.NewCatalogServiceClient(connection),
	}, nil
}

// Close ends the calls under way, which return an *Error with the code Canceled, and the connection.
func (c *Client) Close() error {
	c.settings.isClosed.Store(true)
	return c.connection.Close()
}

// Connection is for generated stubs of your own making. Calls over it have the same deadlines, errors and retries.
func (c *Client) Connection() grpc.ClientConnInterface { return c.connection }
