/**
 * T-19: Name guessing / takeover / races / tokens: random name ≥ 64 bits from CSPRNG; 50 parallel claims of one name →
 * exactly 1; expired name not granted to another tenant; wrong resume secret refused; compare uses timingSafeEqual;
 * 10 000 guesses rate-limited; absent names all answered alike (offline is another answer by design: see below).
 */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { digest, isSecret, randomName, randomSecret } from "../../relay/names.ts";
import type { Relay } from "../../relay/options.ts";
import { startRelay } from "../../relay/relay.ts";
import { RESERVATION_MS, Registry } from "../../relay/registry.ts";
import { LOCAL } from "../support/local-relay.ts";
import { FakeAgent } from "../support/fake-agent.ts";
import { RawVisitor } from "../support/http.ts";
import { root } from "../support/path.ts";
import { Arrivals, until, within } from "../support/time.ts";

const DOMAIN = "portlight.test";
const TOKEN = randomSecret();
/** As right as the other, but nobody has ever used it. */
const UNUSED = randomSecret();

/** As on a public server, but without TLS, so that the addresses of visitors may be any of loopback. */
function publicRelay(): Promise<Relay> {
  const tokenDigests = [TOKEN, UNUSED].map((token) => digest(token).toString("hex"));
  return startRelay({ ...LOCAL, mode: "remote", domain: DOMAIN, tokenDigests, returnMs: 0 });
}

/** Answers to requests for these names, pipelined on one connection from this address. */
async function visit(relay: Relay, from: string, names: readonly string[]): Promise<string[]> {
  const { port } = new URL(relay.publicUrl);
  const socket = net.connect({ host: "127.0.0.1", port: Number(port), localAddress: from });
  let text = "";
  socket.setEncoding("latin1").on("data", (piece: string) => (text += piece));
  names.forEach((name, index) => {
    const close = index === names.length - 1 ? "Connection: close\r\n" : "";
    socket.write(`GET / HTTP/1.1\r\nHost: ${name}.${DOMAIN}\r\n${close}\r\n`);
  });
  await within(
    30_000,
    `${names.length} answers`,
    new Promise((resolve, reject) => socket.on("end", resolve).on("error", reject)),
  );
  return text.split(/(?=HTTP\/1\.1 )/).filter((answer) => answer !== "");
}

const statuses = (answers: readonly string[]): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[answer.slice(9, 12)] = (counts[answer.slice(9, 12)] ?? 0) + 1;
  return counts;
};

describe("names and secrets", () => {
  test("a random name has at least 64 bits, all letters equally likely; a secret 256", () => {
    const names = Array.from({ length: 20_000 }, () => randomName());
    assert.equal(new Set(names).size, names.length);
    const counts = new Map<string, number>();
    for (const name of names) {
      assert.match(name, /^[a-z2-7]{13}$/);
      for (const letter of name) counts.set(letter, (counts.get(letter) ?? 0) + 1);
    }
    assert.equal(counts.size, 32);
    assert.ok(13 * Math.log2(counts.size) >= 64);
    // Chi-square with 31 degrees of freedom: above 80 once in 3 million runs.
    const expected = (names.length * 13) / 32;
    const chi = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    assert.ok(chi < 80, `chi-square ${chi}`);
    assert.equal(Buffer.from(randomSecret(), "base64url").length, 32);
  });

  test("nothing of relay, agent or tunnel that is secret is random by anything but node:crypto, or compared by ===", () => {
    for (const folder of ["relay", "agent", "tunnel"])
      for (const file of readdirSync(path.join(root, folder)).filter((name) => /(?<!\.test)\.ts$/.test(name))) {
        // The jitter of a retry is nobody's secret.
        const text = readFileSync(path.join(root, folder, file), "utf8").replace("random: Math.random,", "");
        if (file !== "backoff.ts") assert.ok(!text.includes("Math.random"), file);
        assert.ok(!/(?:secret|token|digest)\w*(?:\.\w+)* (?:===|!==) (?!undefined|null)/i.test(text), file);
      }
    for (const file of ["names.ts", "relay.ts"])
      assert.match(readFileSync(path.join(root, "relay", file), "utf8"), /timingSafeEqual\(/, file);
  });

  test("a name whose reservation has expired is not granted to another tenant", () => {
    let now = 0;
    const registry = new Registry<{ dismissed: () => void }>(() => now);
    const holder = { dismissed: () => undefined };
    const claim = (secret?: string) => registry.claim({ kind: "http", name: "webhooks", secret, holder });
    const first = claim();
    assert.ok("record" in first);
    registry.release(first.record, holder);
    for (const wait of [0, RESERVATION_MS, 100 * RESERVATION_MS]) {
      now += wait;
      for (const secret of [
        undefined,
        randomSecret(),
        `${first.secret.slice(0, -1)}A`.replace(first.secret, "x".repeat(43)),
      ]) {
        const taken = claim(secret);
        assert.ok("refused" in taken && taken.refused === "name-taken", `after ${wait}`);
      }
    }
    assert.equal(registry.find("webhooks"), undefined, "visitors are told that there is none");
    const back = claim(first.secret);
    assert.ok("record" in back && isSecret(back.secret));
  });
});

describe("a relay", () => {
  let relay: Relay;

  before(async () => {
    relay = await publicRelay();
  });
  after(() => relay.close(0));

  test("50 parallel claims of one name: exactly 1", async () => {
    const agents = await Promise.all(Array.from({ length: 50 }, () => FakeAgent.dial(relay.tunnelUrl)));
    for (const agent of agents) agent.hello([{ id: "s", kind: "http", port: 1, name: "wanted" }], TOKEN);
    const granted = await Promise.all(agents.map(async (agent) => (await agent.message("welcome")).shares.length));
    assert.equal(granted.filter((count) => count === 1).length, 1);
    const losers = agents.filter((_, index) => granted[index] === 0);
    for (const loser of losers) assert.equal((await loser.message("refused")).code, "name-taken");
    for (const agent of agents) agent.cut("fin");
  });

  test("a wrong resume secret is refused, by an agent that is online as well as by one that comes", async () => {
    const { agent, grants } = await FakeAgent.online(
      relay.tunnelUrl,
      [{ id: "s", kind: "http", port: 1, name: "mine" }],
      { token: TOKEN },
    );
    const secret = grants[0]?.secret ?? "";
    const last = secret.endsWith("A") ? "B" : "A";
    const wrong = [undefined, randomSecret(), secret.slice(0, -1) + last, secret.toUpperCase(), secret.slice(0, 22)];
    for (const guess of wrong) {
      const share = {
        id: "t",
        kind: "http",
        port: 1,
        name: "mine",
        ...(guess === undefined ? {} : { secret: guess }),
      } as const;
      const { agent: thief } = await FakeAgent.online(relay.tunnelUrl, [], { token: TOKEN });
      thief.send({ type: "share", share });
      assert.equal((await thief.message("refused")).code, "name-taken", guess);
      thief.cut("fin");
    }
    assert.deepEqual(statuses(await visit(relay, "127.0.0.1", ["mine"])), { 200: 1 });
    agent.cut("fin");
  });

  test("absent names are answered alike whether they never were, were given back, are reserved or wrong; offline is 503", async () => {
    const { agent } = await FakeAgent.online(
      relay.tunnelUrl,
      [
        { id: "a", kind: "http", port: 1, name: "given-back" },
        { id: "b", kind: "http", port: 1, name: "away" },
        { id: "c", kind: "tcp", port: 1, name: "raw-bytes" },
      ],
      { token: TOKEN },
    );
    agent.send({ type: "unshare", id: "a" });
    await agent.message("unshared");
    const absent = ["never-was", "given-back", "raw-bytes", "www", "relay", "xn--e1afmkfd", "0", "x".repeat(63), "a_b"];
    const answers = await Promise.all(absent.map(async (name) => (await visit(relay, "127.0.0.9", [name]))[0] ?? ""));
    for (const answer of answers) {
      assert.equal(answer, answers[0]);
      assert.match(answer, /^HTTP\/1\.1 404 /);
    }
    // Policy (`FailureCode`): who has the URL of a share is told that it comes back, since a webhook is sent again after a
    // 503 and not after a 404. Who guesses learns by it only names that people chose, and few.
    agent.cut("fin");
    for (let status = ""; status !== "503";) {
      status = (await visit(relay, "127.0.0.9", ["away"]))[0]?.slice(9, 12) ?? "";
      // Until the relay has seen the cut, the answer is another.
      assert.ok(["200", "502", "503"].includes(status), status);
    }
  });
});

describe("10 000 guesses", () => {
  let relay: Relay;
  let agent: FakeAgent;

  before(async () => {
    relay = await publicRelay();
    ({ agent } = await FakeAgent.online(
      relay.tunnelUrl,
      ["known", "unseen"].map((name) => ({ id: name, kind: "http", port: 1, name })),
      { token: TOKEN },
    ));
  });
  after(async () => {
    agent.cut("fin");
    await relay.close(0);
  });

  test("of names: 60 answers, then 429 whatever the name; who used a name before, or comes from elsewhere, does not notice", async () => {
    assert.deepEqual(statuses(await visit(relay, "127.0.0.2", ["known", "known"])), { 200: 2 });
    const guesses = Array.from({ length: 10_000 }, (_, index) => `guess-${index}`);
    const answers: string[] = [];
    for (let at = 0; at < guesses.length; at += 1000)
      answers.push(...(await visit(relay, "127.0.0.2", guesses.slice(at, at + 1000))));
    assert.deepEqual(statuses(answers), { 404: 60, 429: 9_940 });
    const limited = answers[60] ?? "";
    assert.match(limited, /^HTTP\/1\.1 429 Too Many Requests\r\n[^]*retry-after: 60\r\n/);
    const told = new Set(answers.slice(60).map((answer) => answer.replace("connection: close\r\n", "")));
    assert.deepEqual([...told], [limited]);
    // The right guess is no more told than a wrong one.
    assert.equal((await visit(relay, "127.0.0.2", ["unseen"]))[0]?.slice(0, 12), "HTTP/1.1 429");
    const visited = await visit(relay, "127.0.0.2", ["known", "guess-1", "known"]);
    assert.deepEqual(statuses(visited), { 200: 2, 429: 1 });
    assert.deepEqual(statuses(await visit(relay, "127.0.0.3", ["known", "unseen", "other"])), { 200: 2, 404: 1 });
  });

  test("of names, by what is no name below the domain: answered, since there is nothing to be found", async () => {
    const visitor = await RawVisitor.connect(new URL(relay.publicUrl.replace(DOMAIN, "127.0.0.1")).host);
    visitor.send("GET / HTTP/1.1\r\nHost: 203.0.113.7\r\n\r\n".repeat(200));
    visitor.send("GET / HTTP/1.1\r\nHost: last.example\r\nConnection: close\r\n\r\n");
    const counts = statuses((await visitor.rest()).split(/(?=HTTP\/1\.1 )/));
    assert.deepEqual(counts, { 404: 201 });
  });

  test("of tokens: 20 answers, then limit whatever the token; few of them wait for it, and the owner's agent is not kept out", async () => {
    const answers = new Arrivals<string>();
    const said = async (token: string): Promise<void> => {
      const one = await FakeAgent.dial(relay.tunnelUrl);
      one.hello([], token);
      const refusal = await until(10_000, "an answer", () => one.messages.find(({ type }) => type !== "draining"));
      answers.add(refusal.type === "refused" ? refusal.code : refusal.type);
      one.cut("rst");
    };
    const counts = (): Readonly<Record<string, number>> =>
      Object.fromEntries(
        ["unauthorized", "limit", "welcome"].map((code) => [code, answers.items.filter((one) => one === code).length]),
      );
    for (let guess = 0; guess < 20; guess++) await said(randomSecret());
    assert.deepEqual(counts(), { unauthorized: 20, limit: 0, welcome: 0 });
    const started = performance.now();
    const first = said(UNUSED).then(() => performance.now() - started);
    const others: Promise<void>[] = [];
    // The waiting places taken, each guess is a connection that ends at once.
    for (let round = 0; round < 10; round++) {
      others.push(...Array.from({ length: 100 }, () => said(randomSecret())));
      await answers.count(20 + Math.max(0, round * 100 - 10), 10_000, "refusals");
    }
    const { agent: back } = await FakeAgent.online(relay.tunnelUrl, [], { token: TOKEN });
    back.cut("fin");
    assert.ok((await first) >= 4_000, "late");
    await Promise.all(others);
    assert.deepEqual(counts(), { unauthorized: 20, limit: 1001, welcome: 0 });
  });

  test("of resume secrets, by an agent that may share: 100 answers, then limit whatever the secret", async () => {
    const { agent: thief } = await FakeAgent.online(relay.tunnelUrl, [], { token: TOKEN });
    for (let guess = 0; guess < 10_000; guess++)
      thief.send({ type: "share", share: { id: "t", kind: "http", port: 1, name: "unseen", secret: randomSecret() } });
    await until(30_000, "10 000 answers", () => thief.messages.length === 10_000);
    const codes = thief.messages.map((message) => (message.type === "refused" ? message.code : message.type));
    assert.deepEqual([...new Set(codes.slice(0, 100))], ["name-taken"]);
    assert.deepEqual([...new Set(codes.slice(100))], ["limit"]);
    thief.send({ type: "share", share: { id: "u", kind: "http", port: 1 } });
    await thief.message("shared");
    thief.cut("fin");
  });
});
