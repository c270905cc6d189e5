import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isSecretName, MASK, maskField, maskQuery } from "./secrets.ts";

describe("secrets", () => {
  const SECRET =
    "authorization proxy-authorization cookie set-cookie x-api-key x-csrf-token x-auth-user my-secret apikey api-key x-amz-security-token auth-token-bin x-session-id password x-hub-signature-256 x-jwt".split(
      " ",
    );
  const OPEN =
    ":path host content-type accept user-agent x-request-id grpc-status grpc-timeout cache-control sec-websocket-key etag idempotency-key access-control-allow-credentials keep-alive".split(
      " ",
    );
  for (const name of SECRET) it(`masks ${name}`, () => assert.equal(maskField({ name, value: "v" }), MASK));
  for (const name of OPEN) it(`shows ${name}`, () => assert.equal(isSecretName(name), false));

  const QUERIES: readonly (readonly [string, string])[] = [
    ["/x", "/x"],
    ["/x?a=1", "/x?a=1"],
    ["/x?token=abc", `/x?token=${MASK}`],
    ["/x?a=1&access_token=abc&b=2", `/x?a=1&access_token=${MASK}&b=2`],
    ["/x?API_KEY=abc#part", `/x?API_KEY=${MASK}#part`],
    ["/x?%74oken=abc", `/x?%74oken=${MASK}`],
    ["/x?key=&code=1", `/x?key=&code=${MASK}`],
    ["/x?sig=a=b", `/x?sig=${MASK}`],
    ["/x?password=p&monkey=m&%zz=1", `/x?password=${MASK}&monkey=m&%zz=1`],
    ["https://user:pass@host/x?signature=1", `https://${MASK}@host/x?signature=${MASK}`],
  ];
  for (const [url, shown] of QUERIES) it(`masks the query of ${url}`, () => assert.equal(maskQuery(url), shown));

  const SUBPROTOCOLS: readonly (readonly [string, string])[] = [
    ["graphql-ws", "graphql-ws"],
    ["chat, superchat", "chat, superchat"],
    ["bearer, abc", `bearer, ${MASK}`],
    ["v1, base64url.bearer.authorization.k8s.io.QUJD", `v1, ${MASK}`],
    ["eyJhbGciOi.eyJz.sig", MASK],
    [`app, ${"x".repeat(64)}`, `app, ${MASK}`],
  ];
  for (const [value, shown] of SUBPROTOCOLS) {
    it(`shows the sub-protocols ${value.slice(0, 30)}`, () =>
      assert.equal(maskField({ name: "sec-websocket-protocol", value }), shown));
  }

  it("masks URLs in headers", () => {
    assert.equal(maskField({ name: "referer", value: "http://a/?token=1" }), `http://a/?token=${MASK}`);
    assert.equal(maskField({ name: "location", value: "/cb?code=1&state=2" }), `/cb?code=${MASK}&state=2`);
  });
});
