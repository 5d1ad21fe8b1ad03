package tamis.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Context;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/**
 * Gives each call its deadline, where it has none, and what is sent with it. A call that closing has ended is CANCELLED,
 * though gRPC says that there is no server any more.
 *
 * @param patience the timeout of what waits for disks and indexes
 */
record Stamps(
        Duration timeout,
        Duration patience,
        Supplier<String> token,
        Map<String, String> metadata,
        BooleanSupplier isClosed)
        implements ClientInterceptor {
    private static final Metadata.Key<byte[]> DETAILS =
            Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);
    private static final Set<String> PATIENT_METHODS =
            Set.of("tamis.v1.IndexService/WaitIndexed", "tamis.v1.IndexService/WriteDocuments");

    @Override
    public <Q, R> ClientCall<Q, R> interceptCall(MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
        boolean isBounded = options.getDeadline() != null || Context.current().getDeadline() != null;
        CallOptions bounded = isBounded
                ? options
                : options.withDeadlineAfter(timeoutOf(method.getFullMethodName()).toNanos(), TimeUnit.NANOSECONDS);
        return new SimpleForwardingClientCall<>(next.newCall(method, bounded)) {
            @Override
            public void start(Listener<R> listener, Metadata headers) {
                metadata.forEach((key, value) -> headers.put(key(key), value));
                String now = token == null ? null : token.get();
                if (now != null && !now.isEmpty()) {
                    headers.put(key("authorization"), "Bearer " + now);
                }
                super.start(ending(listener), headers);
            }

            @Override
            public void sendMessage(Q message) {
                super.sendMessage(Retries.named(message));
            }
        };
    }

    private Duration timeoutOf(String method) {
        return PATIENT_METHODS.contains(method) ? patience : timeout;
    }

    private <R> ClientCall.Listener<R> ending(ClientCall.Listener<R> listener) {
        return new SimpleForwardingClientCallListener<>(listener) {
            @Override
            public void onClose(Status status, Metadata trailers) {
                boolean isByClosing = isClosed.getAsBoolean()
                        && status.getCode() == Status.Code.UNAVAILABLE
                        && !trailers.containsKey(DETAILS);
                super.onClose(isByClosing ? Status.CANCELLED.withDescription("the client was closed") : status, trailers);
            }
        };
    }

    private static Metadata.Key<String> key(String name) {
        return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
    }
}
