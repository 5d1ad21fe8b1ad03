package tamis.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A call that ended with another status than OK. */
public final class CallException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** One wrong field of a request: its path, and what it may hold. */
    public record Violation(String field, String description) {
        static Violation of(String line) {
            int colon = line.indexOf(": ");
            return colon < 0 ? new Violation(line, "") : new Violation(line.substring(0, colon), line.substring(colon + 2));
        }
    }

    private final Status.Code code;
    private final String reason;
    private final transient Map<String, String> metadata;
    private final transient List<Violation> violations;
    private final transient Duration retryAfter;

    CallException(
            Status status,
            String reason,
            Map<String, String> metadata,
            List<Violation> violations,
            Duration retryAfter,
            Throwable cause) {
        super(status.getCode() + ": " + Optional.ofNullable(status.getDescription()).orElse(""), cause);
        this.code = status.getCode();
        this.reason = reason;
        this.metadata = Map.copyOf(metadata);
        this.violations = List.copyOf(violations);
        this.retryAfter = retryAfter;
    }

    /** The canonical code. */
    public Status.Code code() {
        return code;
    }

    /**
     * Made for programs: one of {@link Reason}, or what a newer server says. Empty when the failure did not come from
     * Tamis, as when no server answered.
     */
    public String reason() {
        return reason;
    }

    /** What the reason is about, such as the {@code kind} and the {@code name} of what there is not. */
    public Map<String, String> metadata() {
        return metadata;
    }

    /** The request's fields that are to blame. */
    public List<Violation> violations() {
        return violations;
    }

    /** After what time the same call may succeed; empty where waiting does not help. */
    public Optional<Duration> retryAfter() {
        return Optional.ofNullable(retryAfter);
    }

    static CallException of(StatusRuntimeException failure) {
        String reason = "";
        Map<String, String> metadata = Map.of();
        List<Violation> violations = new ArrayList<>();
        Duration retryAfter = null;
        for (Any each : details(failure)) {
            try {
                if (each.is(ErrorInfo.class)) {
                    ErrorInfo info = each.unpack(ErrorInfo.class);
                    reason = info.getReason();
                    metadata = info.getMetadataMap();
                } else if (each.is(BadRequest.class)) {
                    for (BadRequest.FieldViolation one : each.unpack(BadRequest.class).getFieldViolationsList()) {
                        violations.add(new Violation(one.getField(), one.getDescription()));
                    }
                } else if (each.is(RetryInfo.class)) {
                    com.google.protobuf.Duration delay = each.unpack(RetryInfo.class).getRetryDelay();
                    retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
                }
            } catch (InvalidProtocolBufferException broken) {
                // A detail that cannot be read tells less, and the code stands.
            }
        }
        return new CallException(failure.getStatus(), reason, metadata, violations, retryAfter, failure);
    }

    /** One that has nothing but a code and a message. */
    static CallException of(Status status) {
        return new CallException(status, "", Map.of(), List.of(), null, null);
    }

    private static List<Any> details(StatusRuntimeException failure) {
        try {
            com.google.rpc.Status found = StatusProto.fromThrowable(failure);
            return found == null ? List.of() : found.getDetailsList();
        } catch (IllegalArgumentException broken) {
            return List.of(); // they cannot be read, or are of another code, as what stands between may have it
        }
    }
}
