/**
 * Many agents in one process, a tunnel each, nothing captured: `agents.ts TUNNEL-URL COUNT SERVICE-PORT …` shares one
 * port per agent, in turn, and prints the names and public ports.
 */
import { createAgent } from "../../agent/agent.ts";
import { silentLogger } from "../../wire/logger.ts";

/** As many dial at once as the relay takes without a queue at its listener. */
const AT_ONCE = 50;

if (import.meta.filename === process.argv[1]) {
  const [url = "", count = "1", ...services] = process.argv.slice(2);
  const names: string[] = [];
  const ports: number[] = [];
  const shareOne = async (index: number): Promise<void> => {
    const agent = createAgent({ log: silentLogger });
    const port = Number(services[index % services.length]);
    const { info } = await agent.share({ port, kind: "http", relay: { url } });
    names[index] = info.name;
    ports[index] = Number(new URL(info.url).port);
  };
  for (let from = 0; from < Number(count); from += AT_ONCE) {
    const size = Math.min(AT_ONCE, Number(count) - from);
    await Promise.all(Array.from({ length: size }, (_, index) => shareOne(from + index)));
  }
  console.log(JSON.stringify({ type: "shared", names, ports }));
}
