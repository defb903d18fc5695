"""What the scripted POP3 and SMTP servers share: a listening socket, a thread for each session, transcripts, and
rules that make a session misbehave at a named step.

    At("RETR", n=2).reply(b"-ERR no\\r\\n")     the second RETR of a session is refused
    At("QUIT").close()                         no answer to QUIT, nothing done
    At("dot").lose().close()                   the message is taken, but the 250 never arrives
    At("greeting").stall()                     connected, and then silence
    After(sent=123).close()                    the connection drops once 123 octets have been sent

A rule takes effect at every step it matches; `n` counts the steps of that name within a session, `session` counts sessions
from 1, `times` bounds how often it takes effect at all."""
import os
import socket
import ssl
import struct
import threading
import time

from kit.ports import free_port

HOLD = 120         # seconds after which a stalled session lets go: longer than a run may take, so that no run is helped by it
SENDING = 30       # seconds that a client may leave our octets unread


class Hangup(Exception):
    """The session ends here."""


class Rule:
    def __init__(self, step=None, n=None, arg=None, session=None, user=None, times=None, octets=0, sent=None):
        self.step, self.n, self.arg, self.session, self.user = step, n, arg, session, user
        self.left = times
        self.octets = octets    # "body" only: this many octets of it have arrived
        self.sent = sent
        self.actions = []

    def matches(self, session, step, n, arg):
        return (step == self.step and self.n in (None, n) and self.arg in (None, arg) and self.applies(session))

    def applies(self, session):
        return (self.session in (None, session.number) and self.user in (None, session.user) and self.left != 0)

    def play(self, session, normal):
        if self.left is not None:
            self.left -= 1
        for action in self.actions:
            action(session, normal)

    def _add(self, action):
        self.actions.append(action)
        return self

    # What to do, in the order of the calls. Without normal(), lose(), edit(), cut() or drip() the step has no effect.

    def reply(self, octets):
        return self._add(lambda session, normal: session.send(octets))

    def normal(self):
        return self._add(lambda session, normal: session.send(normal()))

    def lose(self):
        """The step takes effect, its reply is not sent."""
        return self._add(lambda session, normal: session.note("--", b"(untold) " + join(normal())))

    def edit(self, function):
        return self._add(lambda session, normal: session.send(function(join(normal()))))

    def cut(self, octets):
        """Only the first octets of the reply, then the connection is closed."""
        return self.edit(lambda reply: reply[:octets]).close()

    def drip(self, seconds, octets=1):
        """The reply comes a few octets at a time, with a pause before each."""
        return self._add(lambda session, normal: session.drip(join(normal()), seconds, octets))

    def endless(self, chunk):
        return self._add(lambda session, normal: session.flood(chunk))

    def delay(self, seconds):
        return self._add(lambda session, normal: session.server.stopping.wait(seconds))

    def stall(self, seconds=HOLD):
        return self._add(lambda session, normal: session.hold(seconds))

    def close(self):
        return self._add(lambda session, normal: session.hangup())

    def reset(self):
        """Close with a TCP RST."""
        return self._add(lambda session, normal: session.reset())

    def call(self, function):
        return self._add(lambda session, normal: function(session))


At = Rule


def After(sent, **where):
    """When `sent` octets have been sent in a session."""
    return Rule(sent=sent, **where)


def join(reply):
    return reply if isinstance(reply, (bytes, bytearray)) else b"".join(reply)


class Session(threading.Thread):
    """One connection. Subclasses define dialogue()."""

    def __init__(self, server, sock, number):
        super().__init__(daemon=True)
        self.server, self.sock, self.number = server, sock, number
        self.user = None
        self.buffer = bytearray()
        self.seen = {}           # step -> how often
        self.commands = []       # command lines as text, secrets and all
        self.transcript = []
        self.sent_octets = 0
        self.ended = None        # how the session ended

    def run(self):
        try:
            self.sock.settimeout(HOLD)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) if self.sock.family != socket.AF_UNIX else 0
            if self.server.tls == "implicit":
                self.start_tls()
            self.dialogue()
            self.ended = self.ended or "done"
        except Hangup:
            self.ended = self.ended or "hangup"
        except (OSError, ssl.SSLError) as error:
            self.ended = f"{type(error).__name__}: {error}"
        finally:
            self.note("--", (self.ended or "broken").encode())
            self.finish()
            try:
                self.sock.close()
            except OSError:
                pass

    def dialogue(self):
        raise NotImplementedError

    def finish(self):
        """Whatever happens at the end of a connection."""

    # Input

    def fill(self):
        self.sock.settimeout(self.server.idle)
        try:
            data = self.sock.recv(262144)
        except TimeoutError:
            self.ended = "idle"
            raise Hangup from None
        if not data:
            self.ended = "client closed"
            raise Hangup
        self.buffer += data

    def line(self):
        """The next line without its line end."""
        at = 0
        while (end := self.buffer.find(b"\n", at)) < 0:
            at = len(self.buffer)
            self.fill()
        line = bytes(self.buffer[:end + 1])
        del self.buffer[:end + 1]
        if not line.endswith(b"\r\n"):
            self.server.violation(f"line without CRLF: {line[:80]!r}")
        self.note("C:", line)
        return line.rstrip(b"\r\n")

    # Output

    def send(self, reply):
        for chunk in ([reply] if isinstance(reply, (bytes, bytearray)) else reply):
            self._send(chunk)

    def _send(self, octets):
        if not octets:
            return
        rule = next((r for r in self.server.rules if r.sent is not None and r.applies(self)
                     and self.sent_octets <= r.sent < self.sent_octets + len(octets)), None)
        if rule:
            octets = octets[:rule.sent - self.sent_octets]
        self.server.mark("sending", self)
        self.sock.settimeout(SENDING)
        self.note("S:", octets)
        self.sock.sendall(octets)
        self.sock.settimeout(HOLD)
        self.sent_octets += len(octets)
        self.server.mark("sent", self)
        if rule:
            rule.play(self, lambda: b"")

    def drip(self, octets, seconds, size):
        for at in range(0, len(octets), size):
            if self.server.stopping.wait(seconds):
                raise Hangup
            self._send(octets[at:at + size])

    def flood(self, chunk):
        """Send the chunk again and again until the client has had enough."""
        self.note("S:", b"(endless) " + chunk[:60])
        block = chunk * max(1, 65536 // len(chunk))
        self.sock.settimeout(SENDING)
        end = time.monotonic() + HOLD
        while not self.server.stopping.is_set() and time.monotonic() < end:
            self.sock.sendall(block)
        raise Hangup

    def hold(self, seconds=HOLD):
        """Say nothing until the client closes; whatever it sends is noted."""
        self.note("--", b"(silence)")
        end = time.monotonic() + seconds
        self.sock.settimeout(0.1)
        while time.monotonic() < end and not self.server.stopping.is_set():
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                continue
            if not data:
                self.ended = "client closed"
                raise Hangup
            self.note("C:", data)
            self.buffer += data
        self.sock.settimeout(HOLD)

    def hangup(self):
        self.ended = "server closed"
        raise Hangup

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hangup()

    def start_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.cert.chain, self.server.cert.key)
        if self.server.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.server.client_ca)
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self.note("--", b"(TLS)")

    # Steps

    def step(self, name, arg, normal):
        """Come to a step: the first rule that matches takes the place of normal(), which does the step's work and
        returns its reply."""
        n = self.seen[name] = self.seen.get(name, 0) + 1
        rule = next((r for r in self.server.rules if r.sent is None and r.matches(self, name, n, arg)), None)
        if rule:
            rule.play(self, normal)
        else:
            self.send(normal())

    def note(self, who, octets):
        if len(octets) > 400:
            octets = octets[:200] + b" ...(%d octets)... " % len(octets) + octets[-60:]
        self.transcript.append((who, bytes(octets)))


class Server:
    """A listening server on loopback. Used as a context manager, or start() and stop()."""
    session_class = Session

    def __init__(self, host="127.0.0.1", port=0, path=None, tls="none", cert=None, client_ca=None, rules=()):
        self.host, self.port, self.path = host, port, path
        self.tls, self.cert, self.client_ca = tls, cert, client_ca
        self.rules = list(rules)
        self.idle = HOLD         # seconds after which a session that says nothing is closed
        self.on_step = None      # called as on_step(n, what) at each command received and each reply sent
        self.steps = 0
        self.sessions = []
        self.violations = []     # what a careful client never does
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.listener = None

    def start(self):
        if self.path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.path)
        else:
            self.listener = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.port = self.port or free_port()
            self.listener.bind((self.host, self.port))
        self.listener.listen(256)
        self.stopping.clear()
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return self

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                session = self.session_class(self, sock, len(self.sessions) + 1)
                self.sessions.append(session)
                session.start()     # in the lock: settle() joins whatever is in the list

    def stop(self):
        """Stop listening and drop every session. start() goes on at the same port."""
        self.stopping.set()
        if self.listener:
            try:
                self.listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.listener.close()
            if self.path and os.path.exists(self.path):
                os.unlink(self.path)
        for session in list(self.sessions):
            if session.is_alive():
                try:
                    session.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                session.join(5)

    def settle(self, seconds=5):
        """Wait until every session has ended."""
        with self.lock:
            sessions = list(self.sessions)
        for session in sessions:
            session.join(seconds)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def mark(self, what, session=None):
        """A step of the whole server, counted over all sessions."""
        with self.lock:
            self.steps += 1
            n = self.steps
        if self.on_step:
            self.on_step(n, what)

    def violation(self, text):
        with self.lock:
            self.violations.append(text)

    def commands(self, verb=None):
        """All command lines of all sessions, or those with this verb."""
        lines = [line for session in self.sessions for line in session.commands]
        return [line for line in lines if verb is None or line.split(" ")[0].upper() == verb]

    def transcript(self):
        out = []
        for session in self.sessions[-12:]:
            out.append(f"  {type(self).__name__} session {session.number}:")
            for who, octets in session.transcript[-80:]:
                out.append(f"    {who} {repr(octets)[2:-1]}")
        return "\n".join(out)
