import http from "node:http";
import http2 from "node:http2";

/**
 * Visitors as programs are: they keep connections, heed `connection: close` and GOAWAY, and try nothing twice. What GOAWAY
 * overtook in the visitor itself was never sent (RFC 9113 section 6.8): nghttp2 says so with REFUSED_STREAM, and it is
 * begun on the next connection.
 */
export interface Visitors {
  readonly answered: number;
  /** What went wrong, by visitor and request; empty is the promise. */
  readonly failures: readonly string[];
  /** Times that a connection was given up because the relay asked for it. */
  readonly dismissed: { readonly http1: number; readonly http2: number };
  /** Requests that GOAWAY overtook before they were sent. */
  readonly overtaken: number;
  /** The slowest answer, milliseconds. */
  readonly slowestMs: number;
  /** Ends when each visitor's present request has; more begin none. */
  stop(): Promise<void>;
  /** Resolves at the next answer after which `answered` is at least this. */
  reached(count: number): Promise<void>;
}

export interface VisitorsOptions {
  /** `127.0.0.1:8080` */
  readonly address: string;
  /** `Host` and `:authority`. */
  readonly host: string;
  /** Visitors of each version, every one with a request after the other. */
  readonly http1: number;
  readonly http2: number;
}

/** The first GOAWAY of two: it says only that there will be a second. */
const LAST_STREAM = 0x7fff_ffff;

interface Http2Connection {
  readonly session: http2.ClientHttp2Session;
  /** From the latest GOAWAY. */
  last: number | undefined;
  /** Streams that were refused after it. */
  readonly overtaken: number[];
}

/** What the service must answer: nobody else's answer is taken for ours. */
export const answerTo = (path: string): string => `answer to ${path}`;

export function startVisitors(options: VisitorsOptions): Visitors {
  const { address, host } = options;
  const [hostname = "", port = ""] = address.split(":");
  const agent = new http.Agent({ keepAlive: true, maxSockets: options.http1 });
  const failures: string[] = [];
  const dismissed = { http1: 0, http2: 0 };
  const waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  let answered = 0;
  let slowestMs = 0;
  let overtaken = 0;
  let stopping = false;

  const overHttp1 = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const request = http.get({ hostname, port, path, agent, headers: { host } }, (response) => {
        let text = "";
        if (response.headers.connection === "close") dismissed.http1++;
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("error", reject);
        response.on("end", () => resolve(`${response.statusCode ?? 0} ${text}`));
      });
      request.on("error", reject);
    });

  let present: Http2Connection | undefined;
  const connection = (): Http2Connection => {
    if (present !== undefined && !present.session.closed && !present.session.destroyed) return present;
    const opened: Http2Connection = { session: http2.connect(`http://${address}`), last: undefined, overtaken: [] };
    // What it means for a request, the request says.
    opened.session.on("error", () => undefined);
    opened.session.on("goaway", (_code: number, last: number) => {
      opened.last = last;
      if (present !== opened) return;
      dismissed.http2++;
      present = undefined;
    });
    opened.session.on("close", () => {
      for (const id of opened.overtaken)
        if (id <= (opened.last ?? Infinity) && opened.last !== LAST_STREAM)
          failures.push(`Stream ${id} was refused, and GOAWAY says ${opened.last ?? "nothing"}`);
    });
    present = opened;
    return opened;
  };
  const overHttp2 = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const used = connection();
      const stream = used.session.request({ ":path": path, ":authority": host });
      let text = "";
      let status = 0;
      stream.on("response", (head) => (status = head[":status"] ?? 0));
      stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
      // Its code is judged at the end.
      stream.on("error", () => undefined);
      stream.on("close", () => {
        if (stream.rstCode === 0) resolve(`${status} ${text}`);
        else if (stream.rstCode !== http2.constants.NGHTTP2_REFUSED_STREAM || used.last === undefined || status !== 0)
          reject(new Error(`RST_STREAM ${stream.rstCode}`));
        else {
          overtaken++;
          used.overtaken.push(stream.id ?? 0);
          resolve(overHttp2(path));
        }
      });
    });

  const visit = async (name: string, ask: (path: string) => Promise<string>): Promise<void> => {
    for (let number = 0; !stopping; number++) {
      const path = `/${name}/${number}`;
      const from = performance.now();
      try {
        const answer = await ask(path);
        if (answer !== `200 ${answerTo(path)}`) failures.push(`${path}: ${answer.slice(0, 100)}`);
      } catch (error) {
        const code = error instanceof Error && "code" in error ? String(error.code) : "";
        failures.push(`${path}: ${code} ${error instanceof Error ? error.message : String(error)}`);
      }
      answered++;
      slowestMs = Math.max(slowestMs, performance.now() - from);
      for (const wait of [...waiting]) {
        if (answered < wait.count) continue;
        waiting.splice(waiting.indexOf(wait), 1);
        wait.resolve();
      }
    }
  };
  const visitors = [
    ...Array.from({ length: options.http1 }, (_, index) => visit(`h1-${index}`, overHttp1)),
    ...Array.from({ length: options.http2 }, (_, index) => visit(`h2-${index}`, overHttp2)),
  ];
  return {
    failures,
    dismissed,
    get answered() {
      return answered;
    },
    get overtaken() {
      return overtaken;
    },
    get slowestMs() {
      return slowestMs;
    },
    async stop() {
      stopping = true;
      await Promise.all(visitors);
      agent.destroy();
      present?.session.destroy();
    },
    reached: (count) => new Promise((resolve) => waiting.push({ count, resolve })),
  };
}
