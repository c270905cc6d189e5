/**
 * A part of the chaos matrix: each trouble in each link, the kinds of exchange in turn. `npm run chaos` runs all of it
 * (`test/chaos/main.ts`), with those that take long.
 */
import { after, before, describe, test } from "node:test";
import assert from "node:assert/strict";
import { processTroubles, runLinkCell, runProcessCell } from "../chaos/cell.ts";
import type { ProcessTroubleName } from "../chaos/cell.ts";
import { kindNames } from "../chaos/exchanges.ts";
import type { KindName } from "../chaos/exchanges.ts";
import { troubles } from "../chaos/toxics.ts";
import type { Trouble, TroubleName } from "../chaos/toxics.ts";
import { until } from "../support/time.ts";

/** Sockets of this process; timers and workers of the test runner come and go. */
const sockets = (): number => process.getActiveResourcesInfo().filter((name) => /^(TCP|Pipe)/.test(name)).length;

let before_ = 0;
before(() => {
  before_ = sockets();
});
after(async () => {
  await until(5000, `sockets as before, ${before_}`, () => sockets() <= before_);
  assert.ok(sockets() <= before_);
});

let turn = 0;
const next = (): KindName => kindNames[turn++ % kindNames.length] ?? "GET";

// Most of a cell is waiting: the machine carries several.
describe("links", { concurrency: 6 }, () => {
  for (const [name, trouble] of Object.entries(troubles) as [TroubleName, Trouble][])
    if (trouble.long !== true)
      for (const link of trouble.links) {
        const kind = next();
        test(`${link}, ${name}, ${kind}`, { timeout: 60_000 }, async () => {
          await runLinkCell(link, name, kind);
        });
      }
});

describe("programs", { concurrency: 4 }, () => {
  for (const [name, trouble] of Object.entries(processTroubles) as [ProcessTroubleName, { readonly long?: true }][])
    if (trouble.long !== true) {
      const kind = next();
      test(`${name}, ${kind}`, { timeout: 60_000 }, async () => {
        await runProcessCell(name, kind);
      });
    }
});
