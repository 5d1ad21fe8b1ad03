package tamis

import (
	"crypto/rand"
	"encoding/hex"

	"google.golang.org/protobuf/proto"

	"tamis.example/tamis/tamisv1"
)

// gRPC's own policy (gRFC A6): only what met no server is sent again, or a proxy that says UNAVAILABLE in its place, and
// only calls that may be made twice. A Tamis server sends headers first, after which gRPC sends nothing again: what it
// refuses itself comes back with its RetryAfter. All calls of a client share the tokens: each UNAVAILABLE takes one, each
// success returns a tenth, and while ten or fewer are left nothing is sent again.
const retryConfig = `{
  "methodConfig": [{
    "name": [
      {"service": "tamis.v1.SearchService"},
      {"service": "tamis.v1.CatalogService"},
      {"service": "tamis.v1.IndexService", "method": "GetCollection"},
      {"service": "tamis.v1.IndexService", "method": "ListCollections"},
      {"service": "tamis.v1.IndexService", "method": "GetDocument"},
      {"service": "tamis.v1.IndexService", "method": "ListDocuments"},
      {"service": "tamis.v1.IndexService", "method": "DeleteDocuments"},
      {"service": "tamis.v1.IndexService", "method": "PatchMetadata"},
      {"service": "tamis.v1.IndexService", "method": "ListDeadLetters"},
      {"service": "tamis.v1.IndexService", "method": "WaitIndexed"},
      {"service": "tamis.v1.IndexService", "method": "WriteDocuments"}
    ],
    "retryPolicy": {
      "maxAttempts": 5,
      "initialBackoff": "0.2s",
      "maxBackoff": "5s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }],
  "retryThrottling": {"maxTokens": 20, "tokenRatio": 0.1}
}`

// named gives a request that changes documents a name, by which the server does it once however often it comes.
func named(request any) any {
	switch request := request.(type) {
	case *tamisv1.DeleteDocumentsRequest:
		if request.RequestId == "" {
			copied := proto.Clone(request).(*tamisv1.DeleteDocumentsRequest)
			copied.RequestId = newRequestID()
			return copied
		}
	case *tamisv1.PatchMetadataRequest:
		if request.RequestId == "" {
			copied := proto.Clone(request).(*tamisv1.PatchMetadataRequest)
			copied.RequestId = newRequestID()
			return copied
		}
	case *tamisv1.WriteDocumentsRequest:
		if request.RequestId == "" {
			copied := proto.Clone(request).(*tamisv1.WriteDocumentsRequest)
			copied.RequestId = newRequestID()
			return copied
		}
	}
	return request
}

func newRequestID() string {
	name := make([]byte, 16)
	if _, err := rand.Read(name); err != nil {
		panic(err) // the system has no source of randomness
	}
	return hex.EncodeToString(name)
}
