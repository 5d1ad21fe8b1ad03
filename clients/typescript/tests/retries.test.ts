import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { CallError, connect } from "tamis-client";
import { StreamSearchResponseSchema } from "tamis-client/v1";
import { RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { serving } from "./scripted.js";

const QUICK = { firstPauseMs: 1, longestPauseMs: 1 };
const away = () => new ConnectError("away", Code.Unavailable);
const first = create(StreamSearchResponseSchema, {
  event: { case: "hitsRevised", value: { revision: 1, stage: "bm25", hits: [] } },
});

test("a call is sent again after UNAVAILABLE, until it is answered", async () => {
  const search = (call: number) => {
    if (call < 3) throw away();
  };
  const calls = await serving({ search }, async (address) => {
    using client = connect(address, { retries: QUICK });
    assert.equal((await client.search("docs", "q")).pipeline, "scripted");
  });
  assert.equal(calls, 3);
});

test("a call whose connection is lost is sent again over another one", async () => {
  const calls = await serving({ lostCount: 2 }, async (address) => {
    using client = connect(address, { retries: QUICK });
    assert.equal((await client.search("docs", "q")).pipeline, "scripted");
  });
  assert.equal(calls, 3);
  await serving({ lostCount: 9 }, async (address) => {
    using client = connect(address, { retries: { mostAttempts: 1 } });
    await assert.rejects(client.search("docs", "q"), { code: "UNAVAILABLE", reason: "" });
  });
});

test("a stream whose connection is lost on the way is UNAVAILABLE", async () => {
  async function* stream(_: number, { signal }: { signal: AbortSignal }) {
    yield first;
    lose();
    await new Promise((end) => signal.addEventListener("abort", end, { once: true }));
  }
  let lose: () => void = () => {};
  await serving({ stream, onSession: (session) => (lose = () => session.destroy()) }, async (address) => {
    using client = connect(address, { retries: QUICK });
    const events = client.streamSearch("docs", "q");
    assert.equal((await events.next()).done, false);
    await assert.rejects(events.next(), { code: "UNAVAILABLE", reason: "" });
  });
});

test("closing a client ends its calls", async () => {
  const search = (_: number, { signal }: { signal: AbortSignal }) =>
    new Promise<void>((end) => {
      signal.addEventListener("abort", () => end());
      client?.close();
    });
  let client: ReturnType<typeof connect> | undefined;
  await serving({ search }, async (address) => {
    client = connect(address);
    await assert.rejects(client.search("docs", "q"), { code: "CANCELLED" });
  });
});

test("closing a client ends the pause before an attempt", async ({ mock }) => {
  const search = () => {
    throw away();
  };
  let client: ReturnType<typeof connect> | undefined;
  mock.method(Math, "random", () => {
    setImmediate(() => client?.close()); // the length of the pause is being drawn
    return 0.5;
  });
  const calls = await serving({ search }, async (address) => {
    client = connect(address, { retries: { firstPauseMs: 100_000, longestPauseMs: 100_000 }, timeoutMs: 1_000_000 });
    await assert.rejects(client.search("docs", "q"), { code: "CANCELLED" });
  });
  assert.equal(calls, 1);
});

test("no other status is sent again", async () => {
  for (const code of [Code.DeadlineExceeded, Code.ResourceExhausted, Code.Internal, Code.Unknown, Code.Aborted]) {
    const search = () => {
      throw new ConnectError("no", code);
    };
    const calls = await serving({ search }, async (address) => {
      using client = connect(address, { retries: QUICK });
      await assert.rejects(client.search("docs", "q"), CallError);
    });
    assert.equal(calls, 1, Code[code]);
  }
});

test("a deadline that passes ends the call, which is not sent again", async () => {
  const search = (_: number, { signal }: { signal: AbortSignal }) =>
    new Promise<void>((end) => signal.addEventListener("abort", () => end()));
  const calls = await serving({ search }, async (address) => {
    using client = connect(address, { retries: QUICK, timeoutMs: 50 });
    await assert.rejects(client.search("docs", "q"), { code: "DEADLINE_EXCEEDED", reason: "" });
  });
  assert.ok(calls <= 1, "it may pass before the server has seen the call");
});

test("a pause that the server asks for and that the deadline does not allow leaves it at the error", async () => {
  const search = () => {
    const retryDelay = { seconds: 100n, nanos: 500_000_000 };
    throw new ConnectError("away", Code.Unavailable, undefined, [{ desc: RetryInfoSchema, value: { retryDelay } }]);
  };
  const calls = await serving({ search }, async (address) => {
    using client = connect(address, { retries: QUICK });
    await assert.rejects(client.search("docs", "q"), { code: "UNAVAILABLE", retryAfterMs: 100_500 });
  });
  assert.equal(calls, 1);
});

test("while half of the budget is spent nothing is sent again", async () => {
  const search = () => {
    throw away();
  };
  const calls = await serving({ search }, async (address) => {
    using client = connect(address, { retries: { ...QUICK, mostAttempts: 4, budgetTokens: 10 } });
    for (const _ of [1, 2, 3]) await assert.rejects(client.search("docs", "q"), { code: "UNAVAILABLE" });
  });
  assert.equal(calls, 4 + 1 + 1, "the fifth failure leaves five tokens of ten");
});

test("a stream is sent again before its first event, and not after it", async () => {
  async function* stream(call: number) {
    if (call === 1) throw away();
    yield first;
    throw away();
  }
  const seen: number[] = [];
  const calls = await serving({ stream }, async (address) => {
    using client = connect(address, { retries: QUICK });
    await assert.rejects(
      async () => {
        for await (const event of client.streamSearch("docs", "q")) {
          if (event.type === "hitsRevised") seen.push(event.revision);
        }
      },
      { code: "UNAVAILABLE" },
    );
  });
  assert.equal(calls, 2);
  assert.deepEqual(seen, [1]);
});

test("leaving a stream ends it on the server as well", async () => {
  let ended: () => void = () => {};
  const end = new Promise<void>((resolve) => {
    ended = resolve;
  });
  async function* stream(_: number, { signal }: { signal: AbortSignal }) {
    signal.addEventListener("abort", ended);
    yield first;
    await end;
  }
  await serving({ stream }, async (address) => {
    using client = connect(address);
    for await (const event of client.streamSearch("docs", "q")) {
      assert.equal(event.type, "hitsRevised");
      break;
    }
    await end;
  });
});

test("an event that this client does not know is skipped", async () => {
  async function* stream() {
    yield create(StreamSearchResponseSchema);
    yield first;
  }
  await serving({ stream }, async (address) => {
    using client = connect(address);
    const types = [];
    for await (const event of client.streamSearch("docs", "q")) types.push(event.type);
    assert.deepEqual(types, ["hitsRevised"]);
  });
});

test("without a server the error has no reason", async () => {
  using client = connect("127.0.0.1:1", { retries: QUICK });
  await assert.rejects(client.search("docs", "q"), { code: "UNAVAILABLE", reason: "" });
});
