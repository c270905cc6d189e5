/** `npm start`: addresses within a minute, and what real clients do appears decoded in the browser inspector. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { launchChromium } from "../support/chromium.ts";
import { GrpcClient } from "../support/grpc.ts";
import { request } from "../support/http.ts";
import { startProgram } from "../support/process.ts";
import { until, within } from "../support/time.ts";

test(
  "npm start: addresses, a decoded call in the inspector, and an end without leftovers",
  { timeout: 90_000 },
  async () => {
    const program = startProgram("scripts/start.ts", []);
    try {
      const address = async (name: string): Promise<string> => {
        const line = await program.lines.next(60_000, `the address of ${name}`, (text) =>
          text.trimStart().startsWith(`${name} `),
        );
        return /http:\/\/\S+/.exec(line)?.[0] ?? "";
      };
      const inspector = await address("Inspector");
      const grpc = await address("gRPC");
      const http = await address("HTTP");
      assert.match((await request(new URL(http).host, "/api/products")).body, /Nordlicht/);

      const browser = await launchChromium();
      try {
        const page = await browser.newPage();
        const problems: string[] = [];
        page.on("pageerror", (error) => problems.push(error.message));
        await page.goto(inspector);
        const client = new GrpcClient(new URL(grpc).host, "shop.v1.Orders");
        assert.equal((await client.call("GetOrder", [{ id: "order-4711" }])).code, "NOT_FOUND");
        client.close();
        const row = page.getByText("GetOrder").last();
        await row.waitFor({ timeout: 15_000 });
        await row.click();
        // The request, decoded with the sample's own .proto files.
        await until(15_000, "the decoded request on the page", async () => {
          const text = await page.evaluate(() => {
            const read = (node: Node): string => {
              const shadow = node instanceof Element ? node.shadowRoot : null;
              const own = node.nodeType === Node.TEXT_NODE ? (node.textContent ?? "") : "";
              return own + [...(shadow?.childNodes ?? []), ...node.childNodes].map(read).join(" ");
            };
            return read(document.body);
          });
          return text.includes("order-4711") && text.includes("NOT_FOUND");
        });
        assert.deepEqual(problems, []);
      } finally {
        await browser.close();
      }
      // One line for each exchange of the sample visitors.
      await program.lines.next(15_000, "a call of the sample visitors", (line) =>
        line.includes("shop.v1.Orders/WatchOrder"),
      );
      assert.deepEqual(await program.stop("SIGINT", 20_000), { code: 0, signal: null });
      await within(5000, "nobody answers any more", assert.rejects(request(new URL(http).host, "/")));
    } finally {
      if (program.child.exitCode === null) program.child.kill("SIGTERM");
    }
  },
);
