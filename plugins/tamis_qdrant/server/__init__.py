"""A Qdrant server or cluster, by its gRPC API."""
