package tamis.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Context;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** Gives each call its deadline, where it has none, and what is sent with it. */
record Stamps(Duration timeout, Supplier<String> token, Map<String, String> metadata) implements ClientInterceptor {
    /** Of what waits for disks and indexes. */
    private static final Duration PATIENT = Duration.ofSeconds(60);

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
                if (token != null) {
                    headers.put(key("authorization"), "Bearer " + token.get());
                }
                super.start(listener, headers);
            }
        };
    }

    private Duration timeoutOf(String method) {
        return PATIENT_METHODS.contains(method) && timeout.compareTo(PATIENT) < 0 ? PATIENT : timeout;
    }

    private static Metadata.Key<String> key(String name) {
        return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
    }
}
