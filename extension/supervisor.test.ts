import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NotRunningError, restartDelay, Supervisor, type Death } from "./supervisor.ts";
import { deferred } from "./testing/deferred.ts";
import { FakeChild } from "./testing/fake-child.ts";

function supervise(prepare: (attempt: number) => Promise<void> = () => Promise.resolve()): {
  readonly supervisor: Supervisor;
  readonly children: FakeChild[];
  readonly deaths: Death[];
} {
  const children: FakeChild[] = [];
  const supervisor = new Supervisor({
    name: "agent",
    fork: () => {
      const child = new FakeChild(children.length + 1, (inside) => inside.onRequest("who", () => children.length));
      children.push(child);
      return child;
    },
    prepare: () => prepare(children.length),
  });
  const deaths: Death[] = [];
  supervisor.onDied((death) => {
    deaths.push(death);
  });
  return { supervisor, children, deaths };
}

test("the pause before a restart doubles up to ten seconds", () => {
  const delays = [1, 2, 3, 4, 5, 6, 7, 20].map(restartDelay);
  assert.deepEqual(delays, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
});

describe("a supervisor", () => {
  test("starts its process once, on demand", async () => {
    const { supervisor, children } = supervise();
    assert.equal(supervisor.state, "stopped");
    const [first, second] = await Promise.all([supervisor.acquire(), supervisor.acquire()]);
    assert.equal(first, second);
    assert.equal(children.length, 1);
    assert.equal(supervisor.state, "running");
    await supervisor.stop(0);
  });

  test("hands out the connection only when the process was prepared", async () => {
    const prepared = deferred<undefined>();
    const { supervisor } = supervise(() => prepared.promise);
    const acquired = supervisor.acquire();
    assert.equal(supervisor.state, "starting");
    assert.equal(supervisor.connection, undefined);
    prepared.resolve(undefined);
    assert.equal(await acquired, supervisor.connection);
    await supervisor.stop(0);
  });

  test("starts another when it dies, and lets those who ask meanwhile wait for it", async () => {
    const { supervisor, children, deaths } = supervise();
    const first = await supervisor.acquire();
    children[0]?.end({ code: null, signal: "SIGKILL" });
    await children[0]?.exited;
    const second = await supervisor.acquire();
    assert.notEqual(second, first);
    assert.equal(children.length, 2);
    assert.deepEqual(deaths, [{ exit: { code: null, signal: "SIGKILL" }, deaths: 1, willRestart: true }]);
    await supervisor.stop(0);
  });

  test("counts a failed preparation as a death", async () => {
    const { supervisor, deaths } = supervise((attempt) =>
      attempt === 1 ? Promise.reject(new Error("not today")) : Promise.resolve(),
    );
    await supervisor.acquire();
    assert.equal(deaths.length, 1);
    await supervisor.stop(0);
  });

  test("gives up after six deaths in a row, says so, and tries again when asked", async (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    let dying = true;
    const { supervisor, children, deaths } = supervise(() =>
      dying ? Promise.reject(new Error("no")) : Promise.resolve(),
    );
    const acquired = supervisor.acquire();
    const outcome = assert.rejects(acquired, NotRunningError);
    for (let turn = 0; turn < 6; turn++) {
      await children.at(-1)?.exited;
      // The supervisor hears of the end a microtask later.
      await new Promise((resolve) => setImmediate(resolve));
      context.mock.timers.runAll();
    }
    await outcome;
    assert.equal(children.length, 6);
    assert.equal(supervisor.state, "failed");
    assert.equal(deaths.at(-1)?.willRestart, false);
    dying = false;
    await supervisor.acquire();
    assert.equal(supervisor.state, "running");
    supervisor.kill();
  });

  test("asks its process to end, and kills it when it does not in time", async () => {
    const { supervisor, children } = supervise();
    await supervisor.acquire();
    const asked: string[] = [];
    await supervisor.stop(10, (connection) => {
      asked.push("shutdown");
      return connection.sendRequest("never");
    });
    assert.deepEqual(asked, ["shutdown"]);
    assert.deepEqual(await children[0]?.exited, { code: null, signal: "SIGKILL" });
    assert.equal(supervisor.state, "stopped");
  });

  test("does not restart what it stopped, and refuses those who wait", async () => {
    const { supervisor, children, deaths } = supervise(() => new Promise(() => {}));
    const acquired = supervisor.acquire();
    const outcome = assert.rejects(acquired, NotRunningError);
    await supervisor.stop(0);
    await outcome;
    assert.equal(children.length, 1);
    assert.deepEqual(deaths, []);
  });
});
