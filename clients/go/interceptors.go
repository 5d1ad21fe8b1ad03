package tamis

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func (s *settings) unary(
	ctx context.Context, method string, request, reply any,
	connection *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	ctx, cancel, err := s.prepared(ctx, method)
	if err != nil {
		return err
	}
	defer cancel()
	return s.ended(invoke(ctx, method, named(request), reply, connection, options...))
}

func (s *settings) stream(
	ctx context.Context, description *grpc.StreamDesc,
	connection *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	ctx, cancel, err := s.prepared(ctx, method)
	if err != nil {
		return nil, err
	}
	opened, err := open(ctx, description, connection, method, options...)
	if err != nil {
		cancel()
		return nil, s.ended(err)
	}
	return &boundedStream{opened, s, cancel}, nil
}

// ended makes an *Error. What Close has ended is Canceled, though gRPC may say that there is no server any more.
func (s *settings) ended(err error) error {
	err = errorOf(err)
	var failure *Error
	if s.isClosed.Load() && errors.As(err, &failure) && failure.Code == codes.Unavailable && failure.Reason == "" {
		return errorOf(status.Error(codes.Canceled, "the client was closed"))
	}
	return err
}

// prepared gives a call its deadline, where it has none, and what is sent with it.
func (s *settings) prepared(ctx context.Context, method string) (context.Context, context.CancelFunc, error) {
	pairs := s.metadata
	if s.token != nil {
		token, err := s.token()
		if err != nil {
			return nil, nil, err
		}
		if token != "" {
			pairs = append(append([]string{}, pairs...), "authorization", "Bearer "+token)
		}
	}
	if len(pairs) > 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, pairs...)
	}
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeoutOf(method))
	return ctx, cancel, nil
}

func (s *settings) timeoutOf(method string) time.Duration {
	isPatient := strings.HasSuffix(method, "/WaitIndexed") || strings.HasSuffix(method, "/WriteDocuments")
	if isPatient && s.timeout < patientTimeout {
		return patientTimeout
	}
	return s.timeout
}

// boundedStream lets go of its deadline's timer once it has ended.
type boundedStream struct {
	grpc.ClientStream
	settings *settings
	cancel   context.CancelFunc
}

func (s *boundedStream) SendMsg(message any) error {
	return s.settings.ended(s.ClientStream.SendMsg(named(message)))
}

func (s *boundedStream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if err != nil {
		s.cancel()
	}
	return s.settings.ended(err)
}
