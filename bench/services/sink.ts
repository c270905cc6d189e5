/**
 * Takes uploads as fast as Node can read: answers 200 once `Content-Length` octets are there. Prints its port. Raw, since
 * neither end of a measurement may be its limit.
 */
import net from "node:net";

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

function serve(socket: net.Socket): void {
  let head = "";
  let missing = 0;
  // A proxy may send chunks although it was given a length: then the end is the last chunk.
  let chunked = false;
  let tail = "";
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    let from = 0;
    if (missing === 0 && !chunked) {
      const before = head.length;
      head += chunk.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      chunked = /^transfer-encoding: *chunked/im.test(head.slice(0, end));
      missing = Number(/^content-length: *(\d+)/im.exec(head.slice(0, end))?.[1] ?? 0);
      from = end + 4 - before;
      head = "";
    }
    if (chunked) {
      tail = (tail + chunk.subarray(Math.max(from, chunk.length - 8)).toString("latin1")).slice(-7);
      if (!tail.endsWith("\r\n0\r\n\r\n")) return;
      chunked = false;
      tail = "";
    } else {
      missing -= chunk.length - from;
      if (missing > 0) return;
      missing = 0;
    }
    socket.write(ANSWER);
  });
}

const server = net.createServer({ noDelay: true, highWaterMark: 1024 * 1024 }, serve);
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ type: "listening", port: (server.address() as net.AddressInfo).port }));
});
