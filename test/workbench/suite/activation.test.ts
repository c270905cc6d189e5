import assert from "node:assert/strict";
import { commands, workspace } from "vscode";
import { portlightProcesses } from "../processes.ts";
import { portlight } from "./support.ts";

interface Manifest {
  readonly contributes: { readonly commands: readonly { readonly command: string }[] };
}

describe("activation", () => {
  it("activates", async () => {
    await portlight().activate();
    assert.equal(portlight().isActive, true);
  });

  it("registers exactly the commands of the manifest", async () => {
    const manifest = portlight().packageJSON as Manifest;
    const wanted = manifest.contributes.commands.map(({ command }) => command).toSorted();
    // The editor adds commands for our views: `portlight.shares.focus` and the like.
    const registered = (await commands.getCommands(true))
      .filter((name) => /^portlight\.[A-Za-z]+$/.test(name))
      .toSorted();
    assert.deepEqual(registered, wanted);
  });

  it("starts no process before it is asked to", () => {
    const mine = (name: "agent" | "relay"): number =>
      portlightProcesses(name, portlight().extensionPath).filter(({ parent }) => parent === process.pid).length;
    assert.deepEqual([mine("agent"), mine("relay")], [0, 0]);
  });

  it("tells the editor's port detection to be silent about its processes", () => {
    const attributes = workspace
      .getConfiguration("remote")
      .get<Record<string, { onAutoForward?: string }>>("portsAttributes");
    for (const name of ["agent", "relay"]) {
      const line = `node /home/user/.vscode/extensions/portlight.portlight-0.1.0/dist/${name}.cjs portlight-${name}`;
      const rule = Object.entries(attributes ?? {}).find(([pattern]) => new RegExp(pattern).test(line));
      assert.equal(rule?.[1].onAutoForward, "silent", name);
    }
  });
});
