import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { externalUrl, formatBytes, isLoopbackUrl } from "./addresses.ts";
import { fileInside, safeFileName } from "./files.ts";
import { escapeHtml, inspectorHtml, plainHtml } from "./html.ts";
import { parseRemembered } from "./memory.ts";
import { qrHtml, qrPath } from "./qr-code.ts";

const HOSTILE = `"><script>alert(1)</script><img src=x onerror='x'>&`;

test("text becomes text in HTML", () => {
  for (const html of [escapeHtml(HOSTILE), plainHtml(HOSTILE, [HOSTILE]), qrHtml(`http://x/${HOSTILE}`, HOSTILE)])
    assert.doesNotMatch(html, /<script>alert|<img/);
});

test("the inspector's page runs only its own script and can send nothing anywhere", () => {
  const html = inspectorHtml({
    placement: "panel",
    cspSource: "https://webview.test",
    url: (file) => `https://webview.test/${file}`,
  });
  const policy = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(html)?.[1] ?? "";
  const directives = new Map(policy.split("; ").map((part) => [part.split(" ")[0], part.split(" ").slice(1)]));
  assert.deepEqual(directives.get("default-src"), ["'none'"]);
  for (const name of ["connect-src", "frame-src", "worker-src", "object-src"])
    assert.equal(directives.has(name), false);
  const [source = ""] = directives.get("script-src") ?? [];
  const nonce = /^'nonce-(.+)'$/.exec(source)?.[1] ?? "";
  assert.equal(Buffer.from(nonce, "base64").length, 16);
  assert.equal(directives.get("script-src")?.length, 1);
  assert.doesNotMatch(policy, /unsafe/);
  const scripts = [...html.matchAll(/<script[^>]*>/g)].map(([tag]) => tag);
  assert.deepEqual(scripts, [`<script nonce="${nonce}" src="https://webview.test/main.js">`]);
  const again = inspectorHtml({ placement: "panel", cspSource: "https://webview.test", url: (file) => file });
  assert.ok(!again.includes(nonce));
});

test("a QR code has its quiet zone and three finders", () => {
  const { path: drawn, size } = qrPath("http://192.168.1.20:41234");
  const dark = new Set([...drawn.matchAll(/M(\d+) (\d+)h1v1h-1z/g)].map(([, x, y]) => `${x ?? ""},${y ?? ""}`));
  assert.ok(size >= 21 + 8);
  const finder = (x: number, y: number): boolean => {
    for (let i = 0; i < 7; i++)
      for (const [column, row] of [
        [x + i, y],
        [x, y + i],
      ])
        if (!dark.has(`${column ?? 0},${row ?? 0}`)) return false;
    return dark.has(`${x + 3},${y + 3}`) && !dark.has(`${x + 1},${y + 1}`);
  };
  assert.ok(finder(4, 4) && finder(size - 11, 4) && finder(4, size - 11));
  for (const module of dark)
    for (const part of module.split(",")) assert.ok(Number(part) >= 4 && Number(part) < size - 4);
});

test("URLs of this machine are told from others", () => {
  for (const url of [
    "http://127.0.0.1:1",
    "http://127.9.9.9:1",
    "tcp://localhost:1",
    "http://a.localhost:1",
    "http://[::1]:1",
  ])
    assert.equal(isLoopbackUrl(url), true, url);
  for (const url of [
    "http://192.168.1.2:1",
    "https://a.example.com",
    "http://127.0.0.1.example.com",
    "",
    "tcp://10.0.0.1:7",
  ])
    assert.equal(isLoopbackUrl(url), false, url);
  assert.equal(
    externalUrl({ url: "http://127.0.0.1:1", alternativeUrls: ["http://x.localhost:2", "http://10.0.0.5:1"] }),
    "http://10.0.0.5:1",
  );
  assert.equal(externalUrl({ url: "http://127.0.0.1:1", alternativeUrls: [] }), undefined);
  assert.equal(externalUrl({ url: "", alternativeUrls: [] }), undefined);
});

test("octets are written for people", () => {
  const table: readonly [number, string][] = [
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [12_345, "12 kB"],
    [3_400_000, "3.4 MB"],
    [5e15, "5000 TB"],
  ];
  for (const [bytes, text] of table) assert.equal(formatBytes(bytes), text);
});

test("only files below the workspace folder are opened", async () => {
  const base = await realpath(await mkdtemp(path.join(os.tmpdir(), "portlight-files-")));
  const folder = path.join(base, "workspace");
  await mkdir(path.join(folder, "api"), { recursive: true });
  await writeFile(path.join(folder, "api/a.proto"), "");
  await writeFile(path.join(base, "secret"), "");
  await symlink(path.join(base, "secret"), path.join(folder, "link"));
  const table: readonly [string, string | undefined][] = [
    ["api/a.proto", path.join(folder, "api/a.proto")],
    ["api/../api/a.proto", path.join(folder, "api/a.proto")],
    ["../secret", undefined],
    ["api/../../secret", undefined],
    [path.join(base, "secret"), undefined],
    ["/etc/passwd", undefined],
    ["link", undefined],
    ["missing", undefined],
    ["", undefined],
    ["a\0b", undefined],
  ];
  for (const [file, found] of table) assert.equal(await fileInside(folder, file), found, JSON.stringify(file));
  await rm(base, { recursive: true });
});

test("a stranger's file name becomes a plain one", () => {
  const table: readonly [string, string][] = [
    ["report.json", "report.json"],
    ["../../etc/passwd", "_.._etc_passwd"],
    ["..", "body.bin"],
    ["", "body.bin"],
    ["a\u0000b\u202egpj.exe", "a_b_gpj.exe"],
    ["C:\\x", "C__x"],
    ["x".repeat(500), "x".repeat(120)],
  ];
  for (const [name, safe] of table) assert.equal(safeFileName(name), safe);
});

test("what cannot be read from the secret storage is as if it were not there", () => {
  assert.deepEqual(parseRemembered('{"name":"a","secret":"b","publicPort":1,"more":2}'), {
    name: "a",
    secret: "b",
    publicPort: 1,
  });
  assert.deepEqual(parseRemembered('{"name":"a","secret":"b"}'), { name: "a", secret: "b" });
  for (const text of ["", "null", "1", "[]", "{}", '{"name":1,"secret":"b"}', "{"])
    assert.equal(parseRemembered(text), undefined, text);
});
