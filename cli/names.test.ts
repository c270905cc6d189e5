import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { nameKey, namesFile, readNames, rememberNames } from "./names.ts";

let directory: string;
before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "portlight-names-"));
});
after(() => rm(directory, { recursive: true }));

test("where the file is", () => {
  assert.equal(namesFile({ XDG_STATE_HOME: "/state" }, "linux"), path.join("/state", "portlight", "names.json"));
  assert.match(namesFile({}, "linux"), /\.local.state.portlight.names\.json$/);
  assert.match(namesFile({}, "darwin"), /Application Support.portlight/);
  assert.equal(namesFile({ LOCALAPPDATA: "local" }, "win32"), path.join("local", "portlight", "names.json"));
});

test("what is remembered is read again, and others' entries stay", async () => {
  const file = path.join(directory, "new", "names.json");
  const first = { name: "a", secret: "s1", publicPort: 4000, usedAt: 1 };
  const second = { name: "b", secret: "s2", usedAt: 2 };
  await rememberNames(file, new Map([[nameKey("local", "http", 80, undefined), first]]));
  await rememberNames(file, new Map([[nameKey("tls://r:1", "tcp", 80, "b"), second]]));
  assert.deepEqual(Object.fromEntries(await readNames(file)), {
    "local http 80 ": first,
    "tls://r:1 tcp 80 b": second,
  });
  if (process.platform !== "win32") assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(path.dirname(file)), ["names.json"]);
});

test("no more than 500 entries, the oldest go", async () => {
  const file = path.join(directory, "many.json");
  await rememberNames(
    file,
    new Map(Array.from({ length: 600 }, (_, index) => [`k${index}`, { name: "n", secret: "s", usedAt: index }])),
  );
  const names = await readNames(file);
  assert.equal(names.size, 500);
  assert.ok(names.has("k599") && !names.has("k99"));
});

test("a damaged file is no reason to fail", async () => {
  const file = path.join(directory, "damaged.json");
  for (const text of ["", "{", "null", "[1]", '{"a":null,"b":{"name":1},"c":{"name":"x","secret":"y"}}']) {
    await writeFile(file, text);
    assert.equal((await readNames(file)).size, text.includes('"c"') ? 1 : 0);
  }
});
