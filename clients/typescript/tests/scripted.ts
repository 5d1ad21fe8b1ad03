/** A server of Connect's that answers searches as it is told, for what a healthy server never does. */

import {
  createSecureServer,
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type SecureServerOptions,
  type ServerHttp2Session,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { SearchResponseSchema, SearchService, type StreamSearchResponse } from "tamis-client/v1";

/** What one call does: its number counts from 1. */
export interface Script {
  /** How many calls lose their connection before they are read. */
  lostCount?: number;
  /** Speaks TLS. */
  tls?: SecureServerOptions;
  onSession?: (session: ServerHttp2Session) => void;
  search?: (call: number, context: HandlerContext) => void | Promise<void>;
  stream?: (call: number, context: HandlerContext) => AsyncIterable<StreamSearchResponse>;
}

/** Runs `use` with the address of a server and says how many calls it got. */
export async function serving(script: Script, use: (address: string) => Promise<void>): Promise<number> {
  let calls = 0;
  const answer = connectNodeAdapter({
    routes: (router) =>
      router.service(SearchService, {
        async search(_, context) {
          await script.search?.(calls, context);
          return create(SearchResponseSchema, { pipeline: "scripted" });
        },
        async *streamSearch(_, context) {
          if (script.stream) yield* script.stream(calls, context);
        },
      }),
  });
  const handle = (request: Http2ServerRequest, response: Http2ServerResponse) => {
    calls += 1;
    if (calls > (script.lostCount ?? 0)) answer(request, response);
    else request.stream.session?.destroy();
  };
  const server = script.tls ? createSecureServer(script.tls, handle) : createServer(handle);
  if (script.onSession) server.on("session", script.onSession);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  try {
    await use(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.close();
  }
  return calls;
}
