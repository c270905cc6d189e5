import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";

const root = path.dirname(import.meta.dirname);

interface Property {
  readonly scope?: string;
  readonly order?: number;
  readonly markdownDescription?: string;
}
interface Manifest extends Readonly<Record<string, unknown>> {
  readonly icon: string;
  readonly extensionKind: readonly string[];
  readonly activationEvents: readonly string[];
  readonly capabilities: {
    readonly untrustedWorkspaces: { readonly supported: string; readonly restrictedConfigurations: readonly string[] };
  };
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly category: string; readonly icon: string }[];
    readonly menus: Readonly<Record<string, readonly { readonly command: string }[]>>;
    readonly configuration: { readonly properties: Readonly<Record<string, Property>> };
  };
}

const text = readFileSync(path.join(root, "package.json"), "utf8");
const manifest = JSON.parse(text) as Manifest;
const strings = JSON.parse(readFileSync(path.join(root, "package.nls.json"), "utf8")) as Readonly<
  Record<string, string>
>;
const sources = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .map((file) => readFileSync(path.join(import.meta.dirname, file), "utf8"))
  .join("\n");

describe("the manifest", () => {
  test("asks for no proposed API, and for no activation at start-up", () => {
    assert.equal(manifest["enabledApiProposals"], undefined);
    for (const event of manifest.activationEvents) assert.match(event, /^onWebviewPanel:/);
    assert.deepEqual(manifest.extensionKind, ["workspace"]);
  });

  test("uses each of its strings, and has each it uses", () => {
    const used = new Set([...text.matchAll(/"%([^%"]+)%"/g)].map(([, key]) => key));
    assert.deepEqual([...used].toSorted(), Object.keys(strings).toSorted());
  });

  test("names only commands that it contributes, in menus, texts and code", () => {
    const known = new Set(manifest.contributes.commands.map(({ command }) => command));
    const inMenus = Object.values(manifest.contributes.menus).flatMap((items) => items.map(({ command }) => command));
    const inTexts = [...JSON.stringify(strings).matchAll(/command:(portlight\.\w+)/g)].map(([, name = ""]) => name);
    const inCode = [...sources.matchAll(/executeCommand\("(portlight\.[A-Za-z]+)"/g)].map(([, name = ""]) => name);
    for (const command of [...inMenus, ...inTexts, ...inCode]) assert.ok(known.has(command), command);
  });

  test("gives each command a category and an icon", () => {
    for (const { command, category, icon } of manifest.contributes.commands) {
      assert.equal(category, "Portlight", command);
      assert.match(icon, /^\$\([a-z-]+\)$/, command);
    }
  });

  test("keeps what a workspace must not decide out of its hands", () => {
    const { properties } = manifest.contributes.configuration;
    for (const name of ["portlight.relay", "portlight.relayFingerprint", "portlight.reach"])
      assert.equal(properties[name]?.scope, "machine", name);
    const { untrustedWorkspaces } = manifest.capabilities;
    assert.equal(untrustedWorkspaces.supported, "limited");
    assert.deepEqual([...untrustedWorkspaces.restrictedConfigurations].toSorted(), Object.keys(properties).toSorted());
    assert.doesNotMatch(JSON.stringify(properties), /token"|secret"|password"/i);
  });

  test("describes each setting, and the code reads each", () => {
    for (const [name, { order, markdownDescription }] of Object.entries(
      manifest.contributes.configuration.properties,
    )) {
      assert.equal(typeof order, "number", name);
      assert.match(markdownDescription ?? "", /^%setting\./, name);
      assert.ok(sources.includes(`"${name.slice("portlight.".length)}"`), name);
    }
  });

  test("names files that are there", () => {
    for (const [, file = ""] of text.matchAll(/"(media\/[^"]+)"/g)) assert.ok(existsSync(path.join(root, file)), file);
    const icon = readFileSync(path.join(root, manifest.icon));
    // PNG: width and height are the first two numbers of IHDR.
    assert.deepEqual([icon.readUInt32BE(16), icon.readUInt32BE(20)], [256, 256]);
  });
});
