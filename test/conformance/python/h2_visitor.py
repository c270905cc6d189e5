"""hyper-h2, whose state machine refuses whatever RFC 9113 forbids: `h2_visitor.py URL CA`."""

import hashlib
import socket
import ssl
import sys
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events

URL = urlsplit(sys.argv[1])
CA = sys.argv[2]
UPLOAD = bytes(range(251)) * 4000


def connect():
    plain = socket.create_connection((URL.hostname, URL.port), timeout=15)
    if URL.scheme == "http":
        return plain
    context = ssl.create_default_context(cafile=CA)
    context.set_alpn_protocols(["h2"])
    secure = context.wrap_socket(plain, server_hostname=URL.hostname)
    if secure.selected_alpn_protocol() != "h2":
        sys.exit("ALPN did not choose h2")
    return secure


class Visitor:
    def __init__(self):
        self.socket = connect()
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.events = []
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            sys.exit("the relay closed the connection")
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if isinstance(event, h2.events.ConnectionTerminated):
                sys.exit(f"GOAWAY: {event}")
            self.events.append(event)
        self.flush()

    def until(self, kind, stream=None):
        while True:
            for event in self.events:
                if isinstance(event, kind) and (stream is None or event.stream_id == stream):
                    return event
            self.receive()

    def ask(self, method, path, body=None, trailers=None):
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", URL.scheme), (":authority", URL.netloc), (":path", path)]
        self.h2.send_headers(stream, head, end_stream=body is None)
        while body:
            window = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(body))
            if window == 0:
                self.flush()
                self.receive()
                continue
            self.h2.send_data(stream, body[:window])
            body = body[window:]
        if body is not None:
            if trailers:
                self.h2.send_headers(stream, trailers, end_stream=True)
            else:
                self.h2.end_stream(stream)
        self.flush()
        return stream

    def body(self, stream):
        self.until(h2.events.StreamEnded, stream)
        return b"".join(
            event.data
            for event in self.events
            if isinstance(event, h2.events.DataReceived) and event.stream_id == stream
        )


def check(name, good, what=""):
    if not good:
        sys.exit(f"{name}: {what}")
    print(f"ok {name}")


visitor = Visitor()
settings = visitor.until(h2.events.RemoteSettingsChanged)
check("settings", settings is not None)
streams = [visitor.ask("GET", "/api/products") for _ in range(20)]
check("20 at once", all(b"Nordlicht" in visitor.body(stream) for stream in streams))
stream = visitor.ask("GET", "/chunked")
check("body", visitor.body(stream) == b"first second third")
trailers = visitor.until(h2.events.TrailersReceived, stream)
check("trailers", ("x-checksum", "sha256-abc") in [tuple(field) for field in trailers.headers], trailers.headers)
stream = visitor.ask("POST", "/upload", UPLOAD, [("x-sum", "7")])
told = visitor.body(stream)
check("upload with trailers", hashlib.sha256(UPLOAD).hexdigest().encode() in told and b'"x-sum":"7"' in told, told)
stream = visitor.ask("GET", "/download?bytes=2000000")
check("download", len(visitor.body(stream)) == 2_000_000)
stream = visitor.ask("GET", "/hints")
hinted = visitor.until(h2.events.InformationalResponseReceived, stream)
check("103", (":status", "103") in [tuple(field) for field in hinted.headers], hinted.headers)
visitor.body(stream)
stream = visitor.ask("GET", "/delay?ms=60000")
visitor.h2.reset_stream(stream, error_code=8)
visitor.flush()
visitor.h2.ping(b"portligt")
visitor.flush()
check("PING after a cancellation", visitor.until(h2.events.PingAckReceived).ping_data == b"portligt")
stream = visitor.ask("GET", "/crash")
check("a cut is a reset", visitor.until(h2.events.StreamReset, stream).error_code != 0)
check("the connection goes on", b"Nordlicht" in visitor.body(visitor.ask("GET", "/api/products")))
visitor.h2.close_connection()
visitor.flush()
