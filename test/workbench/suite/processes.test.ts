import assert from "node:assert/strict";
import { commands } from "vscode";
import { visit } from "../visit.ts";
import { environmentOf, portlightProcesses, type RunningProcess } from "../processes.ts";
import { until } from "../until.ts";
import { portlight, share, startService, type Service, type SharedPort } from "./support.ts";

/** The agent or relay of this window. */
function child(name: "agent" | "relay"): RunningProcess | undefined {
  return portlightProcesses(name, portlight().extensionPath).find(({ parent }) => parent === process.pid);
}

describe("child processes", () => {
  let service: Service;
  let shared: SharedPort;

  before(async () => {
    service = await startService("still here");
    shared = await share(service.port);
  });
  after(async () => {
    await commands.executeCommand("portlight.stopAll");
    await service.close();
  });

  for (const name of ["agent", "relay"] as const) {
    it(`restores the share at the same URL when the ${name} is killed`, async () => {
      const before = await until(`the ${name} runs`, () => child(name));
      process.kill(before.pid, "SIGKILL");
      const after = await until(`another ${name} runs`, () => {
        const now = child(name);
        return now !== undefined && now.pid !== before.pid ? now : undefined;
      });
      assert.notEqual(after.pid, before.pid);
      await until("the same URL works again", async () => (await visit(shared.url)).text === "still here", 15);
    });
  }

  it("have no secret and nothing of the editor in arguments and environment", async function () {
    for (const name of ["agent", "relay"] as const) {
      const running = await until(`the ${name} runs`, () => child(name));
      const rest = running.args.slice(1);
      const [flag, ...ours] = rest;
      assert.match(flag ?? "", /^--max-semi-space-size=\d+$/);
      assert.deepEqual(ours, [`${portlight().extensionPath}/dist/${name}.cjs`, `portlight-${name}`]);
      if (process.platform !== "linux") continue;
      const names = environmentOf(running.pid).map((line) => line.split("=")[0] ?? "");
      assert.deepEqual(
        names.filter((variable) => variable.startsWith("VSCODE_") || variable === "NODE_OPTIONS"),
        [],
      );
    }
  });
});
