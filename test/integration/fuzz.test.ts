import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Engine, judgeEverySplit } from "../fuzz/engine.ts";
import { readFixtures } from "../fuzz/fixtures.ts";
import { TARGETS } from "../fuzz/targets/index.ts";

/** About a second a target. `npm run fuzz` runs as long as one likes, led by coverage. */
const EXECUTIONS = 2500;
const SEED = 3;

describe("mutated octets keep every promise of the readers", () => {
  for (const target of TARGETS) {
    it(`${target.name}: what it begins with, at every split`, () => {
      for (const input of target.seeds) judgeEverySplit(target, input);
    });

    for (const { file, input } of readFixtures(target.name)) {
      it(`${target.name}: ${file}, which once broke one, at every split`, () => judgeEverySplit(target, input));
    }

    it(`${target.name}: ${EXECUTIONS} mutations of it`, () => {
      const engine = new Engine(target, SEED);
      engine.batch(EXECUTIONS);
      const { corpus, findings } = engine.progress;
      assert.deepEqual(
        findings.map(({ input, problem }) => `${problem} ${Buffer.from(input).toString("hex")}`),
        [],
      );
      assert.ok(corpus > target.seeds.length, "nothing new was reached");
    });
  }
});

describe("the fuzzer", () => {
  it("finds what breaks a promise, and makes it short", () => {
    const engine = new Engine(
      {
        name: "broken",
        code: [],
        seeds: [Uint8Array.from({ length: 64 }, (_, index) => index)],
        dictionary: [],
        run: (input, cuts) => [input.includes(200) && cuts.includes(9) ? "cut" : "whole"],
      },
      1,
    );
    engine.batch(5000);
    const [finding] = engine.findings;
    assert.ok(finding?.problem.includes('it says "cut", whole "whole"') === true, finding?.problem);
    assert.ok(finding.input.length <= 12, `${finding.input.length} octets`);
    assert.throws(() => judgeEverySplit(engine.target, finding.input));
  });
});
