"""grpcio (gRPC's C core) against `diagnostics.v1.Diagnostics`: `grpcio_visitor.py HOST:PORT CA|-`. Messages are encoded by hand."""

import sys
import threading

import grpc

ADDRESS, CA = sys.argv[1:3]
BIG = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def varint(number):
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def echo(payload, status=None):
    """EchoRequest { payload = 1; status = 4 { code = 1 } }"""
    message = b"\x0a" + varint(len(payload)) + payload
    return message if status is None else message + b"\x22\x02\x08" + bytes([status])


def payload(response):
    """EchoResponse { payload = 1 }"""
    if response[:1] != b"\x0a":
        return b""
    at, size, shift = 1, 0, 0
    while True:
        octet = response[at]
        size |= (octet & 0x7F) << shift
        shift += 7
        at += 1
        if octet < 0x80:
            return response[at : at + size]


def check(name, good, what=""):
    if not good:
        sys.exit(f"{name}: {what}")
    print(f"ok {name}")


if CA == "-":
    channel = grpc.insecure_channel(ADDRESS, options=BIG)
else:
    with open(CA, "rb") as file:
        channel = grpc.secure_channel(ADDRESS, grpc.ssl_channel_credentials(file.read()), options=BIG)

NAME = "/diagnostics.v1.Diagnostics/"
unary = channel.unary_unary(NAME + "Echo")
bidi = channel.stream_stream(NAME + "Converse")
collect = channel.stream_unary(NAME + "Collect")
spread = channel.unary_stream(NAME + "Spread")

check("unary", payload(unary(echo(b"hello"), timeout=15)) == b"hello")
large = bytes(range(256)) * 16384
check("unary, 4 MiB each way", payload(unary(echo(large), timeout=30)) == large)
check("unary, gzip", payload(unary(echo(large), timeout=30, compression=grpc.Compression.Gzip)) == large)
try:
    unary(echo(b"x", status=9), timeout=15)
    check("status", False, "no error")
except grpc.RpcError as error:
    check("status", error.code() == grpc.StatusCode.FAILED_PRECONDITION, error)
try:
    channel.unary_unary(NAME + "Missing")(echo(b""), timeout=15)
    check("unimplemented", False, "no error")
except grpc.RpcError as error:
    check("unimplemented", error.code() == grpc.StatusCode.UNIMPLEMENTED, error)

# Ping-pong: each request is made only after the answer to the one before, so nothing may be held back.
turn = threading.Semaphore(1)


def requests():
    for number in range(50):
        turn.acquire()
        yield echo(b"turn %d" % number)


seen = []
for response in bidi(requests(), timeout=30):
    seen.append(payload(response))
    turn.release()
check("bidi, turn by turn", seen == [b"turn %d" % number for number in range(50)], seen[-1:])

summary = collect(iter([echo(b"x" * 1000)] * 200), timeout=30)
check("client streaming", summary == b"\x08" + varint(200) + b"\x10" + varint(200_000), summary)
sizes = b"".join(varint(size) for size in (1, 1000, 100_000))
answers = [len(payload(one)) for one in spread(b"\x0a" + varint(len(sizes)) + sizes, timeout=30)]
check("server streaming", answers == [1, 1000, 100_000], answers)

call = bidi(iter([]), timeout=15)
check("bidi without messages", list(call) == [] and call.code() == grpc.StatusCode.OK, call.code())
hold = threading.Event()


def held():
    yield echo(b"first")
    hold.wait(15)


call = bidi(held(), timeout=30)
next(call)
call.cancel()
hold.set()
check("cancelled after the first answer", call.code() == grpc.StatusCode.CANCELLED, call.code())
try:
    # delay = 3 { seconds = 1 }: a minute
    unary(echo(b"late") + b"\x1a\x02\x08\x3c", timeout=0.5)
    check("deadline", False, "no error")
except grpc.RpcError as error:
    check("deadline", error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error)
together = [unary.future(echo(b"n%d" % number), timeout=30) for number in range(100)]
check("100 at once", all(payload(one.result()) == b"n%d" % number for number, one in enumerate(together)))
channel.close()
