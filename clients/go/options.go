package tamis

import (
	"crypto/tls"
	"math"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
)

const (
	defaultTimeout = 10 * time.Second
	patientTimeout = 60 * time.Second // of what waits for disks and indexes
	tenantHeader   = "x-tamis-tenant"
)

// An Option says how a client reaches its server.
type Option func(*settings)

type settings struct {
	timeout  time.Duration
	tls      *tls.Config
	token    func() (string, error)
	metadata []string
	once     bool
	extra    []grpc.DialOption
	isClosed atomic.Bool // of the client, as its calls have to know
}

// WithTimeout sets the deadline of calls whose context has none; 10 seconds unless told. Write and WaitIndexed have 60
// seconds, or this where it is longer.
func WithTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.timeout = timeout }
}

// WithTLS secures the connection. An empty config trusts the authorities of the system.
func WithTLS(config *tls.Config) Option {
	return func(s *settings) { s.tls = config }
}

// WithToken sends `authorization: Bearer …` with every call, for what stands before the server. Dial refuses it without
// TLS, except on loopback. An empty one is none.
func WithToken(token string) Option {
	if token == "" {
		return func(s *settings) { s.token = nil }
	}
	return WithTokenSource(func() (string, error) { return token, nil })
}

// WithTokenSource is WithToken for tokens that change: it is asked before each call, so it should be quick. What it
// returns as an error, the call returns.
func WithTokenSource(source func() (string, error)) Option {
	return func(s *settings) { s.token = source }
}

// WithMetadata sends a further key with every call, such as the `x-api-key` of a gateway. It is sent as it is, so use
// TLS for secrets.
func WithMetadata(key, value string) Option {
	return func(s *settings) { s.metadata = append(s.metadata, strings.ToLower(key), value) }
}

// WithTenant says for whom the calls are made, as a proxy would, in `x-tamis-tenant`; for another key of the server's
// see WithMetadata.
func WithTenant(tenant string) Option { return WithMetadata(tenantHeader, tenant) }

// WithoutRetries sends every call once.
func WithoutRetries() Option {
	return func(s *settings) { s.once = true }
}

// WithDialOptions passes on options of gRPC's own, which go before those of the client.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.extra = append(s.extra, options...) }
}

func (s *settings) dialOptions() []grpc.DialOption {
	reconnect := backoff.DefaultConfig // a server that restarts is found again soon
	reconnect.BaseDelay, reconnect.MaxDelay = 100*time.Millisecond, 5*time.Second
	options := []grpc.DialOption{
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: 5 * time.Second}),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32), grpc.MaxRetryRPCBufferSize(8<<20),
		),
		grpc.WithChainUnaryInterceptor(s.unary), // so that one of the caller's own does not take its place
		grpc.WithChainStreamInterceptor(s.stream),
	}
	if s.once {
		options = append(options, grpc.WithDisableRetry())
	} else {
		options = append(options, grpc.WithDefaultServiceConfig(retryConfig))
	}
	if s.tls == nil {
		options = append(options, grpc.WithInsecure()) //nolint:staticcheck // what replaces it is not in gRPC 1.33
	} else {
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(s.tls)))
	}
	return append(options, s.extra...)
}

func isLoopback(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(strings.TrimPrefix(address, "dns:///"))
	if err != nil {
		return false
	}
	found := net.ParseIP(host)
	return host == "localhost" || found != nil && found.IsLoopback()
}
