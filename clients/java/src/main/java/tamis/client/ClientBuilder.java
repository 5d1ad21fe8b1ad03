package tamis.client;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
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
            Pattern.compile("(.*/)?(localhost|127\\.\\d+\\.\\d+\\.\\d+|\\[::1\\])(:\\d+)?|unix:.*");

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
        this.timeout = timeout;
        return this;
    }

    /** How the connection is secured: {@code TlsChannelCredentials.create()} trusts the authorities of the system. */
    public ClientBuilder credentials(ChannelCredentials credentials) {
        this.credentials = credentials;
        return this;
    }

    /** Sends {@code authorization: Bearer …} with every call, for what stands before the server. */
    public ClientBuilder token(String token) {
        return token(() -> token);
    }

    /** The same for tokens that change: it is asked before each call, so it should be quick. */
    public ClientBuilder token(Supplier<String> token) {
        this.token = token;
        return this;
    }

    /** Sends a further key with every call, as it is; use TLS for secrets. */
    public ClientBuilder metadata(String key, String value) {
        metadata.put(key.toLowerCase(Locale.ROOT), value);
        return this;
    }

    /** Says for whom the calls are made, as a proxy would. */
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
        if (token != null && credentials == null && !LOOPBACK.matcher(address).matches()) {
            throw new IllegalStateException(
                    "a token needs TLS, or whoever is on the way could read it: pass credentials");
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
        return new Client(builder.build(), new Stamps(timeout, token, Map.copyOf(metadata)));
    }
}
