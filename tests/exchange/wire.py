"""wire.py - HTTP heads and RFC 6455 frames over asyncio streams, and certificates: what simulator and bots speak with.

Job:       a small WebSocket, written apart from the engine's, for both ends; one HTTP request or answer; certificates.
Usage:     ws = WebSocket(reader, writer, client=False); message = await ws.receive(); ws.send("text"); await ws.drain()
Non-goals: extensions (permessage-deflate is declined), speed, HTTP beyond what REST look-ups need.
"""
import asyncio
import base64
import hashlib
import os
import ssl
import struct
import subprocess

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
HEAD_MAX = 64 * 1024
MESSAGE_MAX = 64 * 1024 * 1024


class WireError(Exception):
    """The other side broke a rule of the protocol."""


class Closed(Exception):
    """The connection has ended; code is the WebSocket close code, None without a close frame."""

    def __init__(self, code=None, reason=""):
        super().__init__(f"closed ({code} {reason})" if code else "closed")
        self.code, self.reason = code, reason


def frame(payload, opcode=TEXT, fin=True, mask=False):
    """One frame as bytes."""
    head = bytearray([(0x80 if fin else 0) | opcode])
    size = len(payload)
    masked = 0x80 if mask else 0
    if size < 126:
        head.append(masked | size)
    elif size < 1 << 16:
        head.append(masked | 126)
        head += struct.pack("!H", size)
    else:
        head.append(masked | 127)
        head += struct.pack("!Q", size)
    if not mask:
        return bytes(head) + payload
    key = os.urandom(4)
    head += key
    return bytes(head) + unmask(payload, key)


def unmask(payload, key):
    size = len(payload)
    stream = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big") if size else b""


class WebSocket:
    """One end of an open WebSocket connection. Pings are answered inside receive(); pongs are counted."""

    def __init__(self, reader, writer, client):
        self.reader, self.writer, self.client = reader, writer, client
        self.pongs = []
        self.closed = False

    async def read_frame(self):
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if first & 0x70:
            raise WireError("a reserved bit is set, no extension was agreed")
        if bool(second & 0x80) == self.client:
            raise WireError("a frame is masked by the server, or not masked by the client")
        if size == 126:
            size = struct.unpack("!H", await self.reader.readexactly(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", await self.reader.readexactly(8))[0]
        if size > MESSAGE_MAX:
            raise WireError(f"a frame of {size} bytes")
        key = await self.reader.readexactly(4) if second & 0x80 else b""
        payload = await self.reader.readexactly(size) if size else b""
        return first & 0x80, first & 0x0F, unmask(payload, key) if key else payload

    async def receive(self):
        """The next message: str for text, bytes for binary. Raises Closed, WireError."""
        parts, kind = [], None
        while True:
            try:
                fin, opcode, payload = await self.read_frame()
            except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, OSError) as error:
                self.closed = True
                raise Closed() from error
            if opcode == PING:
                self.send_frame(payload, PONG)
            elif opcode == PONG:
                self.pongs.append(payload)
            elif opcode == CLOSE:
                self.closed = True
                code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else None
                self.send_frame(payload[:2], CLOSE)
                raise Closed(code, payload[2:].decode("utf-8", "replace"))
            else:
                if (opcode == CONTINUATION) == (kind is None):
                    raise WireError("a continuation without a beginning, or a beginning inside a message")
                kind = opcode if kind is None else kind
                parts.append(payload)
                if fin:
                    whole = b"".join(parts)
                    return whole.decode("utf-8") if kind == TEXT else whole

    def send_frame(self, payload, opcode, fin=True):
        if not self.writer.is_closing():
            self.writer.write(frame(payload, opcode, fin, mask=self.client))

    def send(self, message):
        if isinstance(message, str):
            self.send_frame(message.encode(), TEXT)
        else:
            self.send_frame(message, BINARY)

    async def drain(self):
        try:
            await self.writer.drain()
        except (ConnectionError, ssl.SSLError, OSError) as error:
            self.closed = True
            raise Closed() from error

    def close(self, code=1000, reason=""):
        self.send_frame(struct.pack("!H", code) + reason.encode(), CLOSE)
        self.writer.close()

    def abort(self):
        self.closed = True
        self.writer.transport.abort()


# ---- HTTP ----

class Head:
    """Start line and headers; names in lower case."""

    def __init__(self, start, headers):
        self.start, self.headers = start, headers

    def has_token(self, name, token):
        return token in [part.strip().lower() for part in self.headers.get(name, "").split(",")]


async def read_head(reader):
    """Head, or None at the end of the stream."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ssl.SSLError, OSError):
        return None
    lines = raw.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        if ":" in line:
            name, value = line.split(":", 1)
            headers[name.strip().lower()] = value.strip()
    return Head(lines[0], headers)


def http_answer(status, body=b"", headers=None, keep=True):
    reasons = {101: "Switching Protocols", 200: "OK", 400: "Bad Request", 404: "Not Found", 418: "I'm a teapot",
               429: "Too Many Requests", 503: "Service Unavailable"}
    lines = [f"HTTP/1.1 {status} {reasons.get(status, 'Other')}"]
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)),
              "Connection": "keep-alive" if keep else "close"}
    fields.update(headers or {})
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def accept_value(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def upgrade_answer(head):
    """The 101 of a server, or None if the request is no proper upgrade."""
    key = head.headers.get("sec-websocket-key", "")
    good = (head.start.startswith("GET ") and head.has_token("connection", "upgrade") and
            head.has_token("upgrade", "websocket") and head.headers.get("sec-websocket-version") == "13" and
            head.headers.get("host") and len(base64.b64decode(key + "==", validate=False)) == 16)
    if not good:
        return None
    return ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_value(key)}\r\n\r\n").encode()


async def connect(host, port, path="/", tls=None, server_name="localhost"):
    """A client's WebSocket. tls: an ssl.SSLContext, None for plain."""
    reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=1 << 20,
                                                   server_hostname=server_name if tls else None)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {server_name}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    head = await read_head(reader)
    if head is None or " 101 " not in head.start:
        writer.close()
        raise WireError(f"no upgrade: {head.start if head else 'closed'}")
    if head.headers.get("sec-websocket-accept") != accept_value(key):
        writer.close()
        raise WireError("wrong Sec-WebSocket-Accept")
    return WebSocket(reader, writer, client=True)


async def http_get(host, port, target, tls=None, method="GET"):
    """(status, headers, body) of one request on a connection of its own."""
    reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=1 << 20,
                                                   server_hostname="localhost" if tls else None)
    writer.write(f"{method} {target} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
    head = await read_head(reader)
    if head is None:
        writer.close()
        raise WireError("no answer")
    body = await reader.readexactly(int(head.headers.get("content-length", "0")))
    writer.close()
    return int(head.start.split()[1]), head.headers, body


# ---- certificates ----

def make_certificates(folder, host="localhost", authority=None):
    """A server's certificate for `host`, made with the openssl program, from a new test authority or from that of
    another folder. Returns the paths (ca, cert, key). Raises OSError if there is no such program, CalledProcessError if
    it fails."""
    os.makedirs(folder, exist_ok=True)
    path = {name: os.path.join(folder, name) for name in
            ("ca.key", "ca.pem", "server.key", "server.csr", "server.pem", "names")}
    address = "" if host != "localhost" else ",IP:127.0.0.1"
    with open(path["names"], "w", encoding="ascii") as file:
        file.write(f"subjectAltName=DNS:{host}{address}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    if authority:
        path.update({name: os.path.join(authority, name) for name in ("ca.key", "ca.pem")})
    else:
        openssl("req", "-x509", *curve, "-keyout", path["ca.key"], "-out", path["ca.pem"], "-days", "2",
                "-subj", "/CN=test authority", "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-new", *curve, "-keyout", path["server.key"], "-out", path["server.csr"], "-subj", f"/CN={host}")
    openssl("x509", "-req", "-in", path["server.csr"], "-CA", path["ca.pem"], "-CAkey", path["ca.key"],
            "-set_serial", str(int.from_bytes(os.urandom(8), "big") >> 1), "-days", "2",
            "-extfile", path["names"], "-out", path["server.pem"])
    return path["ca.pem"], path["server.pem"], path["server.key"]


def server_tls(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    return context


def client_tls(ca):
    return ssl.create_default_context(cafile=ca)
