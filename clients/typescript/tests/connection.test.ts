import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { HandlerContext } from "@connectrpc/connect";
import { connect } from "tamis-client";
import { serving } from "./scripted.js";

/** A certificate that is its own authority, and its key, as PEM. */
function certificate(name: string): { cert: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), "tamis-"));
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
  execFileSync("openssl", ["req", ...kind, ...subject, "-keyout", key, "-out", cert], { stdio: "ignore" });
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
}

const once = { mostAttempts: 1 };

test("TLS goes by an authority of one's own, a name, and a certificate of the client", async () => {
  const server = certificate("tamis.test");
  const mine = certificate("me");
  const tls = { ...server, ca: mine.cert, requestCert: true, rejectUnauthorized: true };
  const trusted = { rootCertificates: server.cert, serverName: "tamis.test" };
  const shown = { certificateChain: mine.cert, privateKey: mine.key };
  await serving({ tls }, async (address) => {
    using client = connect(address, { tls: { ...trusted, ...shown }, token: "secret" });
    assert.equal((await client.search("docs", "q")).pipeline, "scripted");
    for (const wrong of [
      true,
      trusted,
      { ...shown, rootCertificates: server.cert },
      { ...trusted, ...shown, serverName: "x" },
    ]) {
      using refused = connect(address, { tls: wrong, retries: once });
      await assert.rejects(refused.search("docs", "q"), { code: "UNAVAILABLE", reason: "" });
    }
  });
});

test("tokens, tenants and metadata are sent with every call", async () => {
  const seen: (string | null)[][] = [];
  const search = (_: number, { requestHeader }: HandlerContext) => {
    seen.push(["authorization", "x-tamis-tenant", "x-api-key"].map((each) => requestHeader.get(each)));
  };
  let count = 0;
  const token = async () => `token-${++count}`;
  await serving({ search }, async (address) => {
    using client = connect(address, { token, tenant: "acme", metadata: { "X-Api-Key": "k" } });
    await client.search("docs", "q");
    await client.stubs.search.search({ collection: "docs", query: "q" });
  });
  assert.deepEqual(seen, [
    ["Bearer token-1", "acme", "k"],
    ["Bearer token-2", "acme", "k"],
  ]);
});

test("a token does not travel in the clear, and a deadline is one", () => {
  assert.throws(() => connect("search.example:443", { token: "secret" }), /needs TLS/);
  connect("search.example:443", { token: "secret", tls: true }).close();
  connect("127.0.0.1:7601", { token: "secret" }).close();
  for (const timeoutMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => connect("127.0.0.1:7601", { timeoutMs }), RangeError);
  }
});
