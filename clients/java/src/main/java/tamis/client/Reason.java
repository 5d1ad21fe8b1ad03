package tamis.client;

/** The reasons that a server gives. Newer servers may have further ones. */
public final class Reason {
    public static final String INVALID_REQUEST = "INVALID_REQUEST";
    public static final String INVALID_EXPRESSION = "INVALID_EXPRESSION";
    public static final String MALFORMED_MESSAGE = "MALFORMED_MESSAGE";
    public static final String UNAUTHENTICATED = "UNAUTHENTICATED";
    public static final String PERMISSION_DENIED = "PERMISSION_DENIED";
    public static final String NOT_FOUND = "NOT_FOUND";
    public static final String ALREADY_EXISTS = "ALREADY_EXISTS";
    public static final String OVERLOADED = "OVERLOADED";
    public static final String FAILED_PRECONDITION = "FAILED_PRECONDITION";
    public static final String UNAVAILABLE = "UNAVAILABLE";
    public static final String JOURNAL_DAMAGED = "JOURNAL_DAMAGED";
    public static final String INDEX_BEHIND = "INDEX_BEHIND";
    public static final String DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED";
    public static final String INTERNAL = "INTERNAL";

    private Reason() {}
}
