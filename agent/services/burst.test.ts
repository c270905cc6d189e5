import { strict as assert } from "node:assert";
import { it, mock } from "node:test";
import { Burst } from "./burst.ts";

/** How many more it allows at this time. */
function room(burst: Burst<number>, now: number): number {
  for (let dialling = 0; dialling < 100; dialling++) if (!burst.allows(dialling, now)) return dialling;
  return 100;
}

it("begins with few connections, grows with answers, and stays small after the backlog was overrun", () => {
  const burst = new Burst<number>(() => undefined);
  assert.equal(room(burst, 0), 6);
  for (let connection = 0; connection < 6; connection++) burst.opened(connection, 0);
  assert.equal(room(burst, 10), 0);
  assert.ok(burst.answered(0));
  assert.ok(!burst.answered(0));
  assert.equal(room(burst, 10), 2);
  burst.ended(1);
  assert.equal(room(burst, 10), 3);
  // The others have been accepted by now, and think.
  assert.equal(room(burst, 25), 7);
  for (let connection = 10; connection < 110; connection++) {
    burst.opened(connection, 30);
    burst.answered(connection);
  }
  assert.equal(room(burst, 30), 64);
  burst.dialled(400);
  assert.equal(room(burst, 30), 64);
  burst.dialled(1_000);
  assert.equal(room(burst, 30), 4);
  burst.opened(200, 40);
  burst.answered(200);
  assert.equal(room(burst, 40), 4);
  burst.close();
});

it("asks again once it has said no", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let asked = 0;
  const burst = new Burst<number>(() => (asked += 1));
  for (let connection = 0; connection < 6; connection++) burst.opened(connection, 0);
  assert.ok(!burst.allows(0, 1));
  assert.ok(!burst.allows(0, 2));
  mock.timers.tick(25);
  assert.equal(asked, 1);
  mock.timers.reset();
});
