"""Loopback ports for servers that choose none themselves, or that stop and start again.

A port stays ours from free_port() on: a socket is bound to it that never listens. It lets whoever sets SO_REUSEADDR, as servers do,
bind and listen there, but the kernel gives the port to nobody who asks for any, nor as the near end of a connection. So nothing
answers there until the server does, and no connection can meet itself."""
import collections
import errno
import socket

HELD = collections.deque(maxlen=64)     # of one process; older ones have served their tests


def hold(host, port=0):
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        sock.bind((host, port))     # alone ...
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)      # ... until now
    except OSError:
        sock.close()
        raise
    return sock


def has_ipv6():
    try:
        hold("::1").close()
        return True
    except OSError:
        return False


def free_port():
    """A port that is free on 127.0.0.1 and, where there is IPv6, on ::1."""
    while True:
        held = [hold("127.0.0.1")]
        port = held[0].getsockname()[1]
        try:
            if has_ipv6():
                held.append(hold("::1", port))
        except OSError as error:
            held[0].close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        HELD.append(held)
        return port
