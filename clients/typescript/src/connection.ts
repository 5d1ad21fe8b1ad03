/** How a client reaches a server: address, TLS, and what it says of itself with every call. */

import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { CatalogService } from "./gen/tamis/v1/catalog_service_pb.js";
import { IndexService } from "./gen/tamis/v1/index_service_pb.js";
import { SearchService } from "./gen/tamis/v1/search_service_pb.js";
import { defined } from "./options.js";
import type { RetryPolicy } from "./retries.js";
import { unlessAborted } from "./signals.js";

/** Where servers look for the tenant unless they are told another place. */
export const TENANT_HEADER = "x-tamis-tenant";

/** A bearer token, or what gives the one to use now; asked before each attempt. What it throws, the call throws. */
export type Token = string | (() => string | Promise<string>);

/**
 * How the connection is secured; each is the PEM itself. Without `rootCertificates` Node's own list of public
 * authorities holds. `certificateChain` and `privateKey` prove who the client is, where the other side asks for that.
 * `serverName` is checked in place of the address' host, as for a tunnel.
 */
export interface Tls {
  readonly rootCertificates?: string | Buffer;
  readonly certificateChain?: string | Buffer;
  readonly privateKey?: string | Buffer;
  readonly serverName?: string;
}

/** How to connect. */
export interface ConnectOptions {
  /** Milliseconds until the deadline of a call that has none of its own: 10,000. */
  timeoutMs?: number;
  /** `true` trusts the public authorities. */
  tls?: Tls | boolean;
  /** Sent as `authorization: Bearer …`. Refused without TLS, except on loopback. */
  token?: Token;
  /** What a proxy would set, for a server that takes the tenant from `tenantHeader`. */
  tenant?: string;
  tenantHeader?: string;
  /** Further headers, for what stands before the server; sent as they are. */
  metadata?: { readonly [name: string]: string };
  /** When a call is sent again; see `RetryPolicy`. */
  retries?: Partial<RetryPolicy>;
}

/** The generated stubs of all services: messages in and out, the client's default deadline, no retries. */
export interface Stubs {
  readonly search: Client<typeof SearchService>;
  readonly index: Client<typeof IndexService>;
  readonly catalog: Client<typeof CatalogService>;
}

/** What a `token` function threw, which is no status of a call. */
export class TokenFailure extends Error {
  constructor(readonly thrown: unknown) {
    super(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** A connection that is made when first used, and again when it is lost. */
export class Connection {
  readonly stubs: Stubs;
  readonly #sessions: Http2SessionManager;
  readonly #closing = new AbortController();

  /** Throws for an address that is none, half a certificate, and a token that would travel in the clear. */
  constructor(
    readonly address: string,
    options: ConnectOptions,
    timeoutMs: number,
  ) {
    const tls = options.tls === true ? {} : options.tls || undefined;
    const baseUrl = `${tls ? "https" : "http"}://${address}`;
    const host = hostOf(baseUrl);
    if (options.token && tls === undefined && !isLoopback(host)) {
      throw new Error("a token needs TLS, or whoever is on the way could read it: pass tls: true, or certificates");
    }
    if ((tls?.certificateChain === undefined) !== (tls?.privateKey === undefined)) {
      throw new TypeError("a certificateChain and its privateKey go together");
    }
    const { rootCertificates: ca, certificateChain: cert, privateKey: key, serverName: servername } = tls ?? {};
    this.#sessions = new Http2SessionManager(baseUrl, {}, defined({ ca, cert, key, servername }));
    const transport = createGrpcTransport({
      baseUrl,
      sessionManager: this.#sessions,
      interceptors: [this.#stamp(options)],
      defaultTimeoutMs: timeoutMs,
    });
    this.stubs = {
      search: createClient(SearchService, transport),
      index: createClient(IndexService, transport),
      catalog: createClient(CatalogService, transport),
    };
  }

  get isOpen(): boolean {
    return !this.closed.aborted;
  }

  /** Aborted once the connection is closed. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  /** Ends the calls under way. May be called twice. */
  close(): void {
    const reason = new ConnectError("the client was closed", Code.Canceled);
    this.#closing.abort(reason);
    this.#sessions.abort(reason);
  }

  #stamp({ token = "", tenant = "", tenantHeader = TENANT_HEADER, metadata = {} }: ConnectOptions): Interceptor {
    return (next) => async (request) => {
      for (const [key, value] of Object.entries(metadata)) request.header.set(key, value);
      if (tenant) request.header.set(tenantHeader, tenant);
      const now = typeof token === "function" ? await unlessAborted(asked(token), request.signal, this.closed) : token;
      if (now) request.header.set("authorization", `Bearer ${now}`);
      this.closed.throwIfAborted();
      return next(request);
    };
  }
}

async function asked(token: () => string | Promise<string>): Promise<string> {
  try {
    return await token();
  } catch (thrown) {
    throw new TokenFailure(thrown);
  }
}

/** The host of a URL that was made of an address; nothing else may stand in it, or it would name another host. */
function hostOf(baseUrl: string): string {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (url === undefined || url.href !== `${url.origin}/`) {
    throw new TypeError(`an address is HOST:PORT, not ${baseUrl.slice(baseUrl.indexOf("//") + 2)}`);
  }
  return url.hostname;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
