/** Answers every gRPC call with one empty message and status 0. Prints its port. */
import http2 from "node:http2";
import type { AddressInfo } from "node:net";

const EMPTY_MESSAGE = Buffer.alloc(5);

const server = http2.createServer();
server.on("stream", (stream) => {
  stream.on("error", () => undefined);
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.resume();
  stream.on("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.end(EMPTY_MESSAGE);
  });
});
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ type: "listening", port: (server.address() as AddressInfo).port }));
});
