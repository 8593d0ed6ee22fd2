#!/usr/bin/env python3
"""The other end of a --forwards socket: via.py PATH LOG.

Says "ready".  Each connection begins with a question, which goes into LOG; the
answer depends on the port that is asked for: 80 is accepted and leads to the
lab's server, 81 is not, 82 is answered with junk, 83 with an end, 84 with a
lie about its length; 85 is accepted a byte at a time, with the stream's first
bytes behind it in one write.
"""
import json, os, socket, struct, sys, threading

SERVER = ("192.0.2.1", 7000)


def exactly(s, n):
    d = b""
    while len(d) < n:
        more = s.recv(n - len(d))
        if not more:
            raise EOFError
        d += more
    return d


def copy(a, b):
    try:
        while True:
            d = a.recv(65536)
            if not d:
                break
            b.sendall(d)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def message(text):
    return struct.pack("<H", len(text)) + text


def serve(s, log):
    text = exactly(s, struct.unpack("<H", exactly(s, 2))[0])
    log.write(text.decode() + "\n")
    log.flush()
    port = json.loads(text)["dst_port"]
    if port == 80:
        s.sendall(message(b'{"accepted":true}'))
    elif port == 81:
        s.sendall(message(b'{"accepted":false}'))
    elif port == 82:
        s.sendall(message(b"yes"))
    elif port == 84:
        s.sendall(b"\xff\xff{")
    elif port == 85:
        m = message(b'{"accepted": true, "more": [1]}')
        for i in range(len(m) - 1):
            s.sendall(m[i:i + 1])
        s.sendall(m[-1:] + b"behind the answer\n")
    if port == 80:
        out = socket.create_connection(SERVER)
        t = threading.Thread(target=copy, args=(s, out))
        t.start()
        copy(out, s)
        t.join()
    s.close()


def main(path, logfile):
    if os.path.exists(path):
        os.unlink(path)
    l = socket.socket(socket.AF_UNIX)
    l.bind(path)
    os.chmod(path, 0o777)
    l.listen(64)
    log = open(logfile, "a")
    print("ready", flush=True)
    while True:
        s, _ = l.accept()
        threading.Thread(target=serve, args=(s, log), daemon=True).start()


main(sys.argv[1], sys.argv[2])
