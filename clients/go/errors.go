package tamis

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The reasons that a server gives, made for programs. Newer servers may have further ones.
const (
	ReasonInvalidRequest     = "INVALID_REQUEST"
	ReasonInvalidExpression  = "INVALID_EXPRESSION"
	ReasonMalformedMessage   = "MALFORMED_MESSAGE"
	ReasonUnauthenticated    = "UNAUTHENTICATED"
	ReasonPermissionDenied   = "PERMISSION_DENIED"
	ReasonNotFound           = "NOT_FOUND"
	ReasonAlreadyExists      = "ALREADY_EXISTS"
	ReasonOverloaded         = "OVERLOADED"
	ReasonFailedPrecondition = "FAILED_PRECONDITION"
	ReasonUnavailable        = "UNAVAILABLE"
	ReasonJournalDamaged     = "JOURNAL_DAMAGED"
	ReasonIndexBehind        = "INDEX_BEHIND"
	ReasonDeadlineExceeded   = "DEADLINE_EXCEEDED"
	ReasonInternal           = "INTERNAL"
)

// A Violation is one wrong field of a request: its path, and what it may hold.
type Violation struct{ Field, Description string }

// An Error is a call that ended with another status than OK. Find it with errors.As.
type Error struct {
	Code    codes.Code
	Message string
	// Reason is empty when the failure did not come from Tamis, as when no server answered.
	Reason     string
	Metadata   map[string]string
	Violations []Violation
	// RetryAfter is 0 where waiting does not help.
	RetryAfter time.Duration

	status *status.Status
}

// Error tells the code and what went wrong, for people.
func (e *Error) Error() string { return "tamis: " + e.Code.String() + ": " + e.Message }

// GRPCStatus is what gRPC's status.FromError asks for.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Is makes errors.Is(err, context.DeadlineExceeded) and errors.Is(err, context.Canceled) true of calls that ended so.
func (e *Error) Is(target error) bool {
	return target == context.DeadlineExceeded && e.Code == codes.DeadlineExceeded ||
		target == context.Canceled && e.Code == codes.Canceled
}

// ReasonOf is the reason of an *Error, and empty for every other error.
func ReasonOf(err error) string {
	var failure *Error
	if errors.As(err, &failure) {
		return failure.Reason
	}
	return ""
}

func errorOf(err error) error {
	var known *Error
	if err == nil || err == io.EOF || errors.As(err, &known) {
		return err
	}
	found, ok := status.FromError(err)
	if !ok {
		found = status.FromContextError(err)
	}
	failure := &Error{Code: found.Code(), Message: found.Message(), status: found}
	for _, each := range found.Details() {
		switch detail := each.(type) {
		case *errdetails.ErrorInfo:
			failure.Reason, failure.Metadata = detail.GetReason(), detail.GetMetadata()
		case *errdetails.BadRequest:
			for _, each := range detail.GetFieldViolations() {
				failure.Violations = append(failure.Violations, Violation{each.GetField(), each.GetDescription()})
			}
		case *errdetails.RetryInfo:
			delay := detail.GetRetryDelay()
			failure.RetryAfter = time.Duration(delay.GetSeconds())*time.Second + time.Duration(delay.GetNanos())
		}
	}
	return failure
}

// violationOf reads `field: description`.
func violationOf(line string) Violation {
	field, description, _ := strings.Cut(line, ": ")
	return Violation{field, description}
}
