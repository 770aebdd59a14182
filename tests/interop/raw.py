"""A WebSocket connection byte by byte, for what a well-behaved library refuses to send."""

import os
import socket
import struct

from longwire import PATIENCE

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Raw:
    """Upgrades with the given headers; `status` and `headers` are the answer's."""

    def __init__(self, server, path="/", **headers):
        self.socket = socket.create_connection(server.address, timeout=PATIENCE)
        self.file = self.socket.makefile("rb")
        host, port = server.address
        fields = {
            "Host": f"{host}:{port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"GET {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in fields.items() if value is not None]
        self.socket.sendall("\r\n".join(lines + ["", ""]).encode())
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while line := self.file.readline().strip().decode():
            name, value = line.split(":", 1)
            self.headers[name.strip().lower()] = value.strip()

    def send(self, opcode, payload=b"", *, fin=True, rsv=0, masked=True):
        length = len(payload)
        head = bytes([fin << 7 | rsv << 4 | opcode])
        bit = masked << 7
        if length < 126:
            head += bytes([bit | length])
        elif length < 1 << 16:
            head += struct.pack(">BH", bit | 126, length)
        else:
            head += struct.pack(">BQ", bit | 127, length)
        if masked:
            mask = os.urandom(4)
            payload = mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        self.socket.sendall(head + payload)

    def send_close(self, code):
        self.send(CLOSE, struct.pack(">H", code))

    def recv(self):
        """Opcode and payload of the next frame, which must be whole and unmasked; None at the end."""
        head = self.file.read(2)
        if not head:
            return None
        assert head[0] & 0xF0 == 0x80 and not head[1] & 0x80, f"unexpected frame head {head.hex()}"
        length = head[1]
        if length == 126:
            (length,) = struct.unpack(">H", self.file.read(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.file.read(8))
        return head[0] & 0x0F, self.file.read(length)

    def expect_close(self, code):
        """The next frame closes with `code`; the server ends the connection once it is answered."""
        opcode, payload = self.recv()
        assert opcode == CLOSE, (opcode, payload)
        assert struct.unpack(">H", payload[:2])[0] == code, payload
        try:
            self.send_close(code)
            assert self.recv() is None
        except OSError:
            pass  # The server may have closed the socket already: it failed the connection.

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()
