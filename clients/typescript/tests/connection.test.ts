import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Code, type HandlerContext } from "@connectrpc/connect";
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

test("an address is a host and a port, and no other host can hide in it", () => {
  for (const address of ["127.0.0.1:@search.example", "http://127.0.0.1:1", "dns:///127.0.0.1:1", "a:b", ""]) {
    assert.throws(() => connect(address, { token: "secret" }), TypeError, address);
  }
});

test("half a certificate is refused", () => {
  for (const tls of [{ certificateChain: "a" }, { privateKey: "a" }]) {
    assert.throws(() => connect("127.0.0.1:1", { tls }), TypeError);
  }
});

test("a token that does not come ends with the deadline, with the signal and with the client", async () => {
  const token = () => new Promise<string>(() => {});
  let calls = await serving({}, async (address) => {
    using client = connect(address, { token });
    await assert.rejects(client.search("docs", "q", { timeoutMs: 20 }), { code: "DEADLINE_EXCEEDED" });
    const controller = new AbortController();
    const aborted = client.search("docs", "q", { signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(aborted, /enough/);
    const closed = client.search("docs", "q");
    client.close();
    await assert.rejects(closed, { code: "CANCELLED" });
  });
  calls += await serving({}, async (address) => {
    const closing = () => {
      late.close();
      return "token";
    };
    const late = connect(address, { token: closing });
    await assert.rejects(late.search("docs", "q"), { code: "CANCELLED" });
    await assert.rejects(late.stubs.search.search({}), { code: Code.Canceled });
  });
  assert.equal(calls, 0);
});

test("what a token's function throws, the call throws, and nothing is sent", async () => {
  const missing = Object.assign(new Error("no such file"), { code: "ENOENT" });
  const token = () => {
    throw missing;
  };
  const calls = await serving({}, async (address) => {
    using client = connect(address, { token });
    await assert.rejects(client.search("docs", "q"), (error) => error === missing);
    await assert.rejects(client.streamSearch("docs", "q").next(), (error) => error === missing);
  });
  assert.equal(calls, 0);
});

test("a token does not travel in the clear, and a deadline is one", () => {
  assert.throws(() => connect("search.example:443", { token: "secret" }), /needs TLS/);
  connect("search.example:443", { token: "secret", tls: true }).close();
  for (const address of ["127.0.0.1:1", "localhost:1", "[::1]:1"]) connect(address, { token: "secret" }).close();
  for (const timeoutMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => connect("127.0.0.1:7601", { timeoutMs }), RangeError);
  }
});
