/** How a client reaches a server: address, TLS, and what it says of itself with every call. */

import { isIPv4, isIPv6 } from "node:net";
import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { CatalogService } from "./gen/tamis/v1/catalog_service_pb.js";
import { IndexService } from "./gen/tamis/v1/index_service_pb.js";
import { SearchService } from "./gen/tamis/v1/search_service_pb.js";
import { defined } from "./options.js";
import type { RetryPolicy } from "./retries.js";

/** Where servers look for the tenant unless they are told another place. */
export const TENANT_HEADER = "x-tamis-tenant";

/** A bearer token, or what gives the one to use now; asked before each call. */
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
  metadata?: { readonly [key: string]: string };
  /** When a call is sent again; see `RetryPolicy`. */
  retries?: Partial<RetryPolicy>;
}

/** The generated stubs of all services: messages in and out, the client's default deadline, no retries. */
export interface Stubs {
  readonly search: Client<typeof SearchService>;
  readonly index: Client<typeof IndexService>;
  readonly catalog: Client<typeof CatalogService>;
}

/** A connection that is made when first used, and again when it is lost. */
export class Connection {
  readonly stubs: Stubs;
  readonly #sessions: Http2SessionManager;
  #isOpen = true;

  /** Throws for a token that would travel in the clear. */
  constructor(
    readonly address: string,
    options: ConnectOptions,
    timeoutMs: number,
  ) {
    const tls = options.tls === true ? {} : options.tls || undefined;
    if (options.token && tls === undefined && !isLoopback(address)) {
      throw new Error("a token needs TLS, or whoever is on the way could read it: pass tls: true, or certificates");
    }
    const baseUrl = `${tls ? "https" : "http"}://${address}`;
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
    return this.#isOpen;
  }

  /** Ends the calls under way. May be called twice. */
  close(): void {
    this.#isOpen = false;
    this.#sessions.abort(new ConnectError("the client was closed", Code.Canceled));
  }

  #stamp({ token = "", tenant = "", tenantHeader = TENANT_HEADER, metadata = {} }: ConnectOptions): Interceptor {
    return (next) => async (request) => {
      for (const [key, value] of Object.entries(metadata)) request.header.set(key, value);
      if (tenant) request.header.set(tenantHeader, tenant);
      const now = typeof token === "function" ? await token() : token;
      if (now) request.header.set("authorization", `Bearer ${now}`);
      return next(request);
    };
  }
}

function isLoopback(address: string): boolean {
  const host = address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
  return host === "localhost" || (isIPv4(host) && host.startsWith("127.")) || (isIPv6(host) && host === "::1");
}
