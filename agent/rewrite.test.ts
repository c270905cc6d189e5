import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import type { Fields } from "../wire/stream.ts";
import { keepHost, rewriteRequest, rewriteResponse, serviceOrigin } from "./rewrite.ts";

function fields(text: string): Fields {
  return text.split("\n").flatMap((line) => {
    const at = line.indexOf(": ");
    return at < 0 ? [] : [{ name: line.slice(0, at), value: line.slice(at + 2) }];
  });
}

function text(list: Fields): string {
  return list.map(({ name, value }) => `${name}: ${value}`).join("\n");
}

describe("heads as the service expects them", () => {
  it("names the service's place", () => {
    const table: [string, number, boolean, string][] = [
      ["localhost", 3000, false, "http://localhost:3000"],
      ["localhost", 80, false, "http://localhost"],
      ["localhost", 443, true, "https://localhost"],
      ["localhost", 443, false, "http://localhost:443"],
      ["::1", 8080, false, "http://[::1]:8080"],
      ["[::1]", 8080, true, "https://[::1]:8080"],
      ["127.0.0.1", 1, false, "http://127.0.0.1:1"],
    ];
    for (const [host, port, tls, origin] of table) assert.equal(serviceOrigin(host, port, tls).origin, origin);
  });

  const HEAD = ":method: GET\n:scheme: https\n:authority: pub.example.com\n:path: /";
  const LOCAL = ":method: GET\n:scheme: http\n:authority: localhost:3000\n:path: /";

  it("rewrites authority, and origin and referer that name the public place, and nothing else", () => {
    const service = serviceOrigin("localhost", 3000, false);
    const table: [string, string][] = [
      [HEAD, LOCAL],
      [`${HEAD}\nhost: pub.example.com`, LOCAL],
      [`${HEAD}\norigin: https://pub.example.com`, `${LOCAL}\norigin: http://localhost:3000`],
      [`${HEAD}\norigin: https://PUB.example.com`, `${LOCAL}\norigin: http://localhost:3000`],
      [`${HEAD}\norigin: https://other.example.com`, `${LOCAL}\norigin: https://other.example.com`],
      [`${HEAD}\norigin: https://pub.example.com.evil.test`, `${LOCAL}\norigin: https://pub.example.com.evil.test`],
      [`${HEAD}\norigin: https://pub.example.com:8443`, `${LOCAL}\norigin: https://pub.example.com:8443`],
      [`${HEAD}\norigin: null`, `${LOCAL}\norigin: null`],
      [`${HEAD}\nreferer: https://pub.example.com/a?b#c`, `${LOCAL}\nreferer: http://localhost:3000/a?b#c`],
      [`${HEAD}\nreferer: https://pub.example.com`, `${LOCAL}\nreferer: http://localhost:3000`],
      [`${HEAD}\nreferer: https://else.test/pub.example.com`, `${LOCAL}\nreferer: https://else.test/pub.example.com`],
      [
        `${HEAD}\nx-forwarded-host: front.example.com\norigin: https://front.example.com`,
        `${LOCAL}\nx-forwarded-host: front.example.com\norigin: http://localhost:3000`,
      ],
      // HTTP/1.0 may leave it out.
      [":method: GET\n:path: /", ":authority: localhost:3000\n:method: GET\n:path: /"],
    ];
    for (const [before, after] of table) assert.equal(text(rewriteRequest(fields(before), service)), after);
    const withPort = fields(
      HEAD.replace("pub.example.com", "pub.example.com:443") + "\norigin: https://pub.example.com",
    );
    assert.match(text(rewriteRequest(withPort, service)), /^origin: http:\/\/localhost:3000$/m);
  });

  it("gives the same field objects each time, for the compression of the next hop", () => {
    const service = serviceOrigin("localhost", 3000, false);
    const [first, second] = [rewriteRequest(fields(HEAD), service), rewriteRequest(fields(HEAD), service)];
    assert.equal(first[2], second[2]);
    assert.equal(first[1], second[1]);
  });

  it("keeps everything but the scheme when asked to", () => {
    const head = `${HEAD}\nhost: pub.example.com\norigin: https://pub.example.com`;
    const kept = text(keepHost(fields(head), serviceOrigin("localhost", 3000, false)));
    assert.equal(kept, head.replace(":scheme: https", ":scheme: http"));
  });

  it("turns redirects to the service's own address to the public one", () => {
    const request = fields(`${HEAD}\nx-forwarded-proto: https\nx-forwarded-host: pub.example.com`);
    const table: [string, string][] = [
      ["http://localhost:3000/a?b", "https://pub.example.com/a?b"],
      ["http://127.0.0.1:3000", "https://pub.example.com"],
      ["https://[::1]:3000/x", "https://pub.example.com/x"],
      ["HTTP://LOCALHOST:3000/", "https://pub.example.com/"],
      ["http://localhost:3001/", "http://localhost:3001/"],
      ["http://localhost/", "http://localhost/"],
      [
        "https://login.example.com/?back=http://localhost:3000/",
        "https://login.example.com/?back=http://localhost:3000/",
      ],
      ["http://localhost:3000@evil.test/", "http://localhost:3000@evil.test/"],
      ["/relative", "/relative"],
      ["//localhost:3000/", "//localhost:3000/"],
    ];
    for (const [before, after] of table) {
      const head = fields(`:status: 302\nlocation: ${before}\nx: y`);
      const rewritten = rewriteResponse(head, "localhost", 3000, request);
      assert.equal(text(rewritten), `:status: 302\nlocation: ${after}\nx: y`);
      if (before === after) assert.equal(rewritten, head);
      assert.equal(rewriteResponse(head, "localhost", 3000, fields(":method: GET\n:path: /")), head);
    }
    const onPort80 = rewriteResponse(fields(":status: 301\nlocation: http://localhost/x"), "localhost", 80, request);
    assert.match(text(onPort80), /location: https:\/\/pub\.example\.com\/x/);
  });
});
