"""Small SOCKS5 (RFC 1928) and HTTP CONNECT proxies that note where they were asked to go."""
import socket
import threading


class Proxy:
    """kind: socks5 or http. Every name leads to 127.0.0.1."""

    def __init__(self, kind):
        self.kind, self.asked = kind, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def start(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, near):
        with near:
            try:
                host, port = getattr(self, self.kind)(near)
                self.asked.append((host, port))
                with socket.create_connection(("127.0.0.1", port)) as far:
                    near.sendall(b"\5\0\0\1\0\0\0\0\0\0" if self.kind == "socks5" else b"HTTP/1.1 200 ok\r\n\r\n")
                    there = threading.Thread(target=pump, args=(near, far), daemon=True)
                    there.start()
                    pump(far, near)
                    there.join(5)
            except OSError:
                return

    @staticmethod
    def socks5(sock):
        _, methods = take(sock, 2)
        take(sock, methods)
        sock.sendall(b"\5\0")
        kind = take(sock, 4)[3]
        host = socket.inet_ntoa(take(sock, 4)) if kind == 1 else take(sock, take(sock, 1)[0]).decode()
        return host, int.from_bytes(take(sock, 2), "big")

    @staticmethod
    def http(sock):
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += take(sock, 1)
        host, _, port = request.split()[1].decode().rpartition(":")
        return host, int(port)


def take(sock, count):
    octets = sock.recv(count, socket.MSG_WAITALL)
    if len(octets) < count:
        raise OSError("closed")
    return octets


def pump(source, target):
    try:
        while octets := source.recv(65536):
            target.sendall(octets)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
