"""The gRPC services: each handler validates, calls the service, converts."""
