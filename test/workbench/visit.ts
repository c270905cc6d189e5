import http from "node:http";

export interface Visit {
  readonly status: number;
  readonly text: string;
}

/** A visitor's GET on a connection of its own, which `fetch` would keep for later. */
export async function visit(url: string | URL, headers: Readonly<Record<string, string>> = {}): Promise<Visit> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false, timeout: 10_000, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    request.on("timeout", () => request.destroy(new Error("no answer within 10 s")));
    request.on("error", reject);
  });
}

/** Whether nothing is served at a URL any more: no connection, or an error of the relay. */
export async function isGone(url: string): Promise<boolean> {
  try {
    return (await visit(url)).status >= 400;
  } catch {
    return true;
  }
}
