"""httpx against the sample's HTTP service: `httpx_visitor.py URL CA`. Prints a line for each case, exits with 1 at the first that fails."""

import asyncio
import hashlib
import ssl
import sys

import httpx

URL, CA = sys.argv[1:3]
CONTEXT = ssl.create_default_context(cafile=CA)


def pattern(size):
    return bytes(index % 251 for index in range(251)) * (size // 251 + 1)


def check(name, good, what=""):
    if not good:
        sys.exit(f"{name}: {what}")
    print(f"ok {name}")


def client(http2):
    # Cleartext HTTP/2 is by prior knowledge: without HTTP/1 there is nothing else to try.
    return httpx.AsyncClient(base_url=URL, verify=CONTEXT, http1=not http2, http2=http2, timeout=15)


async def main():
    for http2, version in ((False, "HTTP/1.1"), (True, "HTTP/2")):
        async with client(http2) as visitor:
            answer = await visitor.get("/api/products")
            check(f"{version} JSON", answer.json()[0]["sku"] == "lamp-7" and answer.http_version == version, answer)
            body = (await visitor.get("/download", params={"bytes": 3_000_000})).content
            check(f"{version} download", body == pattern(3_000_000)[:3_000_000], f"{len(body)} octets")
            upload = pattern(2_000_000)[:2_000_000]
            told = (await visitor.post("/upload", content=upload)).json()
            check(f"{version} upload", told["sha256"] == hashlib.sha256(upload).hexdigest(), told)
            many = await asyncio.gather(*(visitor.get(f"/api/products/lens-2?{n}") for n in range(40)))
            check(f"{version} 40 at once", all(one.json()["title"] == "Fresnel ⌀ 120" for one in many))
            async with visitor.stream("GET", "/events?count=5&interval=10") as events:
                seen = [line async for line in events.aiter_lines() if line.startswith("id: ")]
            check(f"{version} events", seen == [f"id: {n}" for n in range(5)], seen)
            try:
                await visitor.get("/crash")
                check(f"{version} a cut is an error", False, "no error")
            except httpx.HTTPError as error:
                check(f"{version} a cut is an error", True, error)


asyncio.run(main())
