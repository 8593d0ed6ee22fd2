#!/usr/bin/env python3
"""Bytes of a client's own, for the HTTP tests.

raw HOST PORT TEXT      sends TEXT, with its \\r and \\n, ends its stream, and
                        prints all that comes back
slow HOST PORT TEXT     the same, a byte at a time
ws HOST PORT NAME       a WebSocket: what is sent comes back, both ways at once
wsd ADDR PORT           the server of that; says "ready"
keep HOST PORT N TEXT   N connections, each kept open through two requests
"""
import base64, hashlib, os, selectors, socket, struct, sys

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def text(s):
    return s.encode().decode("unicode_escape").encode("latin-1")


def rest(s):
    out = b""
    while True:
        try:
            d = s.recv(65536)
        except ConnectionResetError:
            return out + b"[reset]"
        if not d:
            return out
        out += d


def raw(host, port, data, slow=False):
    s = socket.create_connection((host, int(port)))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if slow:
        for b in text(data):
            s.sendall(bytes([b]))
    else:
        s.sendall(text(data))
    s.shutdown(socket.SHUT_WR)
    sys.stdout.buffer.write(rest(s))


def exactly(s, n):
    out = b""
    while len(out) < n:
        d = s.recv(n - len(out))
        if not d:
            raise EOFError
        out += d
    return out


def head(s):
    out = b""
    while not out.endswith(b"\r\n\r\n"):
        out += exactly(s, 1)
    return out


def frame_read(s):
    b = exactly(s, 2)
    n = b[1] & 127
    if n == 126:
        n = struct.unpack(">H", exactly(s, 2))[0]
    elif n == 127:
        n = struct.unpack(">Q", exactly(s, 8))[0]
    mask = exactly(s, 4) if b[1] & 128 else None
    d = exactly(s, n)
    if mask:
        d = bytes(c ^ mask[i % 4] for i, c in enumerate(d))
    return d


def frame(d, mask):
    n = len(d)
    bit = 128 if mask else 0
    if n < 126:
        h = struct.pack(">BB", 0x82, bit | n)
    elif n < 65536:
        h = struct.pack(">BBH", 0x82, bit | 126, n)
    else:
        h = struct.pack(">BBQ", 0x82, bit | 127, n)
    if mask:
        m = os.urandom(4)
        return h + m + bytes(c ^ m[i % 4] for i, c in enumerate(d))
    return h + d


def accept_key(key):
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


def ws(host, port, name):
    s = socket.create_connection((host, int(port)))
    key = base64.b64encode(os.urandom(16))
    s.sendall(b"GET /chat HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
              b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: %s\r\n"
              b"Sec-WebSocket-Version: 13\r\n\r\n" % (name.encode(), key))
    h = head(s)
    assert h.startswith(b"HTTP/1.1 101 "), h + exactly(s, 200)
    assert accept_key(key) in h, h
    for n in (0, 1, 125, 126, 65535, 65536, 300000):
        d = os.urandom(n)
        s.sendall(frame(d, True))
        assert frame_read(s) == d, n
    print("websocket is fine")


def wsd(addr, port):
    l = socket.create_server((addr, int(port)))
    print("ready", flush=True)
    while True:
        s, _ = l.accept()
        if os.fork():
            s.close()
            continue
        h = head(s)
        key = [v.split(b":")[1].strip() for v in h.split(b"\r\n")
               if v.lower().startswith(b"sec-websocket-key")]
        if not key or b"upgrade: websocket" not in h.lower():
            s.sendall(b"HTTP/1.1 400 Not a WebSocket\r\n\r\n" + h)
            os._exit(0)
        s.sendall(b"HTTP/1.1 101 Switching Protocols\r\n"
                  b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
                  b"Sec-WebSocket-Accept: " + accept_key(key[0]) + b"\r\n\r\n")
        try:
            while True:
                s.sendall(frame(frame_read(s), False))
        except EOFError:
            os._exit(0)


def keep(host, port, n, data):
    req = text(data)
    socks = []
    for i in range(int(n)):
        socks.append(socket.create_connection((host, int(port))))
    for turn in range(2):
        for s in socks:
            s.sendall(req)
        for s in socks:
            h = head(s)
            assert h.startswith(b"HTTP/1.1 200 "), h
            size = [int(v.split(b":")[1]) for v in h.split(b"\r\n")
                    if v.lower().startswith(b"content-length")]
            exactly(s, size[0])
    print("all answered twice")
    sys.stdin.readline()


if __name__ == "__main__":
    what, args = sys.argv[1], sys.argv[2:]
    if what == "slow":
        raw(*args, slow=True)
    else:
        {"raw": raw, "ws": ws, "wsd": wsd, "keep": keep}[what](*args)
