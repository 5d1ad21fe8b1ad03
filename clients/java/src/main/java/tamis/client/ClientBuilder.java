package tamis.client;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import java.util.regex.Pattern;

/** Says how a client reaches its server. */
public final class ClientBuilder {
    private static final String TENANT_HEADER = "x-tamis-tenant";
    private static final long BUFFERED_BYTES = 8L << 20;
    private static final Pattern LOOPBACK =
            Pattern.compile("(dns:///)?(localhost|127\\.\\d+\\.\\d+\\.\\d+|\\[::1\\])(:\\d+)?|unix:.*");
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final String address;
    private final Map<String, String> metadata = new LinkedHashMap<>();
    private Duration timeout = Duration.ofSeconds(10);
    private ChannelCredentials credentials;
    private Supplier<String> token;
    private boolean isRetrying = true;

    ClientBuilder(String address) {
        this.address = address;
    }

    /** The deadline of calls that have none; 10 seconds unless told. Writing and waiting have at least 60. */
    public ClientBuilder timeout(Duration timeout) {
        this.timeout = checked(timeout);
        return this;
    }

    /** How the connection is secured: {@code TlsChannelCredentials.create()} trusts the authorities of the system. */
    public ClientBuilder tls(ChannelCredentials credentials) {
        this.credentials = credentials;
        return this;
    }

    /** Sends {@code authorization: Bearer …} with every call, for what stands before the server. An empty one is none. */
    public ClientBuilder token(String token) {
        this.token = token.isEmpty() ? null : () -> token;
        return this;
    }

    /**
     * The same for tokens that change: it is asked before each call, so it should be quick. What it throws, the call
     * throws.
     */
    public ClientBuilder token(Supplier<String> token) {
        this.token = token;
        return this;
    }

    /** Sends a further key with every call, as it is; use TLS for secrets. */
    public ClientBuilder metadata(String key, String value) {
        metadata.put(key.toLowerCase(Locale.ROOT), value);
        return this;
    }

    /** Says for whom the calls are made, as a proxy would, in {@code x-tamis-tenant}; for another key use metadata. */
    public ClientBuilder tenant(String tenant) {
        return metadata(TENANT_HEADER, tenant);
    }

    /** Sends every call once. */
    public ClientBuilder withoutRetries() {
        isRetrying = false;
        return this;
    }

    /**
     * The client. It connects when first used.
     *
     * @throws IllegalStateException for a token that would travel in the clear
     */
    public Client build() {
        boolean isOpen = credentials == null || credentials instanceof InsecureChannelCredentials;
        if (token != null && isOpen && !LOOPBACK.matcher(address).matches()) {
            throw new IllegalStateException("a token needs TLS, or whoever is on the way could read it: pass tls");
        }
        ManagedChannelBuilder<?> builder = Grpc.newChannelBuilder(
                        address, credentials == null ? InsecureChannelCredentials.create() : credentials)
                .maxInboundMessageSize(Integer.MAX_VALUE)
                .perRpcBufferLimit(BUFFERED_BYTES);
        if (isRetrying) {
            builder.enableRetry().defaultServiceConfig(Retries.SERVICE_CONFIG);
        } else {
            builder.disableRetry();
        }
        ManagedChannel connection = builder.build();
        Duration patience = timeout.compareTo(PATIENCE) < 0 ? PATIENCE : timeout;
        return new Client(
                connection, new Stamps(timeout, patience, token, Map.copyOf(metadata), connection::isShutdown));
    }

    static Duration checked(Duration timeout) {
        if (timeout.isNegative() || timeout.isZero()) {
            throw new IllegalArgumentException("a timeout of " + timeout + " lets no call through");
        }
        return timeout;
    }
}
