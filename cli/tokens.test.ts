import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { digest, readTokens } from "./tokens.ts";

let directory: string;
before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "portlight-tokens-"));
});
after(() => rm(directory, { recursive: true }));

async function write(name: string, text: string, mode = 0o600): Promise<string> {
  const file = path.join(directory, name);
  await writeFile(file, text);
  await chmod(file, mode);
  return file;
}

test("one token a line, comments and blank lines left out", async () => {
  const file = await write("good", "# of Ada\n  abcdefghijklmnop\r\n\n0123456789abcdef0123\n#end");
  const warnings: string[] = [];
  assert.deepEqual(await readTokens(file, (message) => warnings.push(message)), [
    "abcdefghijklmnop",
    "0123456789abcdef0123",
  ]);
  assert.deepEqual(warnings, []);
});

test("a file that others may read is read, with a warning", { skip: process.platform === "win32" }, async () => {
  for (const mode of [0o644, 0o640, 0o604]) {
    const warnings: string[] = [];
    await readTokens(await write("open", "abcdefghijklmnop", mode), (message) => warnings.push(message));
    assert.match(warnings.join(), /chmod 600 open/);
  }
});

test("what is wrong with the file, without its tokens", async () => {
  const quiet = (): undefined => undefined;
  await assert.rejects(readTokens(path.join(directory, "absent"), quiet), /no such file/);
  await assert.rejects(readTokens(directory, quiet), /EISDIR/);
  await assert.rejects(readTokens(await write("empty", "# nothing\n"), quiet), /There is no token/);
  await assert.rejects(readTokens(await write("large", "a".repeat(1_100_000)), quiet), /larger than 1 MiB/);
  for (const [text, message] of [
    ["abcdefghijklmnop\nhunter2", /line 2 .* fewer than 16/],
    ["hunter2 hunter2 hunter2", /Line 1 .* space/],
  ] as const)
    await assert.rejects(
      readTokens(await write("bad", text), quiet),
      (error: Error) => message.test(error.message) && !error.message.includes("hunter2"),
    );
});

test("digest", () => {
  assert.equal(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});
