/** A remote plugin: hosts one reranker, `trigrams`, as `tamis.v1.PluginService`. Usage: node reranker.js [HOST:PORT] */

import { createServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { setImmediate as others } from "node:timers/promises";
import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  type DescribeRequest,
  type DescribeResponseSchema,
  ErrorInfoSchema,
  type PluginCall,
  PluginRole,
  PluginService,
  type PluginServiceRerankRequest,
  type PluginServiceRerankResponseSchema,
  ScoreKind,
} from "tamis-client/v1";
import { Health } from "./gen/grpc_health/v1/health_pb.js";
import { health } from "./health.js";
import { ngrams, overlap } from "./trigrams.js";

const COMPONENT = "trigrams";
const CONTRACT_VERSION = 1;
const BATCH = 32; // passages that are scored without looking up
const GRACE_MS = 5_000;
const SETTINGS: JsonObject = {
  type: "object",
  additionalProperties: false,
  properties: { size: { type: "integer", minimum: 2, maximum: 5, default: 3, overridable: true } },
};

function describe(request: DescribeRequest): MessageInitShape<typeof DescribeResponseSchema> {
  checkComponent(request.component);
  if (!request.contractVersions.includes(CONTRACT_VERSION)) throw unsupported();
  return {
    contractVersion: CONTRACT_VERSION,
    role: PluginRole.RERANKER,
    plugin: "trigrams",
    pluginVersion: "0.1.0",
    settingsSchema: SETTINGS,
    scoreKind: ScoreKind.NORMALIZED,
  };
}

/**
 * Scores each passage by itself, and sends scores as they come: the order so far is that of the scores, with what has
 * none behind. So whatever came before the deadline counts.
 */
async function* rerank(
  requests: AsyncIterable<PluginServiceRerankRequest>,
  { signal }: HandlerContext,
): AsyncGenerator<MessageInitShape<typeof PluginServiceRerankResponseSchema>, void> {
  let size = 0;
  let query = new Set<string>();
  let index = 0;
  for await (const request of requests) {
    if (size === 0) {
      size = checkedSize(request.call);
      query = ngrams(request.query, size);
    }
    for (let at = 0; at < request.passages.length; at += BATCH) {
      await others(); // a deadline or a cancellation gets its turn, and so does another call
      if (signal.aborted) return;
      const scores = request.passages
        .slice(at, at + BATCH)
        .map(({ title, text }) => ({ index: index++, score: overlap(query, `${title} ${text}`, size) }));
      yield { scores, report: { usage: { pairCount: BigInt(scores.length) } } };
    }
  }
}

/** The size of the n-grams in this call. */
function checkedSize(call: PluginCall | undefined): number {
  checkComponent(call?.component ?? "");
  if (call?.contractVersion !== CONTRACT_VERSION) throw unsupported();
  const { size, ...others } = call.options;
  const value = size === undefined ? 3 : size.kind.case === "intValue" ? Number(size.kind.value) : 0;
  if (Object.keys(others).length > 0 || !(value >= 2 && value <= 5)) {
    throw failure(Code.InvalidArgument, "INVALID_REQUEST", "the only option is `size`, from 2 to 5");
  }
  return value;
}

function checkComponent(name: string): void {
  if (name === COMPONENT) return;
  throw failure(Code.NotFound, "NOT_FOUND", `no component named '${name}'; there is ${COMPONENT}`, {
    kind: "component",
    name,
  });
}

function unsupported(): ConnectError {
  const versions = String(CONTRACT_VERSION);
  return failure(Code.FailedPrecondition, "UNSUPPORTED_CONTRACT", `only version ${versions} is spoken`, { versions });
}

function failure(code: Code, reason: string, message: string, metadata: Record<string, string> = {}): ConnectError {
  return new ConnectError(message, code, undefined, [
    { desc: ErrorInfoSchema, value: { domain: "tamis", reason, metadata } },
  ]);
}

const stopping = new AbortController();
const sessions = new Set<ServerHttp2Session>();
const server = createServer(
  connectNodeAdapter({
    routes: (router) => {
      router.service(PluginService, { describe, rerank });
      router.service(Health, health(PluginService.typeName, stopping.signal));
    },
  }),
);
server.on("session", (session) => {
  sessions.add(session);
  session.on("close", () => sessions.delete(session));
});

/** Says that it takes no more calls, and ends once those under way have. */
process.once("SIGTERM", () => {
  stopping.abort();
  server.close();
  for (const each of sessions) each.close();
  setTimeout(() => process.exit(1), GRACE_MS).unref();
});

const { host, port } = splitAddress(process.argv[2] ?? "127.0.0.1:7611");
server.listen(port, host, () => console.log(`listening on ${host}:${(server.address() as AddressInfo).port}`));

function splitAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
}
