"""A scripted POP3 server (RFC 1939, 1225, 2449, 2595, 5034): correct by default, faulty by rule (see script.py).

    pop3 = Pop3Server({"thomas": ("secret", [b"Subject: one\\r\\n\\r\\ntext\\r\\n"])})
    pop3.rules = [At("RETR", n=2).reply(b"-ERR no\\r\\n")]
    ...
    pop3.left("thomas")        what the mailbox holds now

Steps: greeting, the verbs of the commands, and the end of each command's work."""
import base64
import binascii
import hashlib
import hmac
import itertools
import os
import threading

from kit.script import At, After, Hangup, Server, Session  # noqa: F401 (for the tests)

CAPABILITIES = ("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "USER", "SASL PLAIN")
NUMBERS = itertools.count(1)


def stuffed(octets):
    """A multi-line answer's octets: dot-stuffed behind CRLF only, ended by CRLF.CRLF."""
    if octets and not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    if octets.startswith(b"."):
        octets = b"." + octets
    return octets.replace(b"\r\n.", b"\r\n..") + b".\r\n"


class Message:
    """octets: as they stand between the status line and the final dot, before stuffing."""

    def __init__(self, octets, uid=None, size=None):
        self.octets = octets
        self.uid = uid if uid is not None else f"uid-{os.getpid()}-{next(NUMBERS)}"
        self.listed = size      # a wrong size to be listed

    @property
    def size(self):
        return len(self.octets) if self.listed is None else self.listed


class Mailbox:
    def __init__(self, password, messages):
        self.password = password
        self.messages = [m if isinstance(m, Message) else Message(m) for m in messages]
        self.busy = threading.Lock()
        self.last = 0

    def add(self, octets, uid=None):
        self.messages.append(octets if isinstance(octets, Message) else Message(octets, uid))


class Pop3Session(Session):
    def dialogue(self):
        server = self.server
        self.mailbox = None
        self.stamp = f"<{os.getpid()}.{self.number}.{next(NUMBERS)}@kit.test>"
        stamp = f" {self.stamp}" if server.apop else ""
        self.step("greeting", None, lambda: f"+OK kit ready{stamp}\r\n".encode())
        while True:
            line = self.line().decode("utf-8", "replace")
            verb, _, rest = line.partition(" ")
            verb = verb.upper()
            self.commands.append(line)
            if self.buffer and not server.pipelining:
                server.violation(f"pipelined without leave: {line!r}, then {bytes(self.buffer[:60])!r}")
            server.mark(f"command {verb}", self)
            self.step(verb, rest or None, lambda: self.answer(verb, rest))
            if verb == "STLS" and server.tls == "starttls" and self.seen.get("encrypted") == "next":
                if self.buffer:
                    server.violation("octets behind STLS")
                self.start_tls()
                self.seen["encrypted"] = "yes"
            if verb == "QUIT":
                return

    def finish(self):
        if self.mailbox and self.mailbox.busy.locked() and self.seen.get("locked"):
            self.mailbox.busy.release()

    def answer(self, verb, rest):
        if verb in self.server.without:
            return b"-ERR unknown command\r\n"
        handler = getattr(self, "do_" + verb.lower(), None)
        if handler is None:
            return b"-ERR unknown command\r\n"
        if self.mailbox is None and verb not in ("CAPA", "STLS", "USER", "PASS", "APOP", "AUTH", "QUIT"):
            return b"-ERR log in first\r\n"
        return handler(rest)

    # Authorization state

    def do_capa(self, _):
        caps = list(self.server.caps or ())
        if self.server.caps is None:
            return b"-ERR unknown command\r\n"
        if self.server.tls == "starttls" and self.seen.get("encrypted") != "yes":
            caps.append("STLS")
        return b"+OK\r\n" + "".join(f"{c}\r\n" for c in caps).encode() + b".\r\n"

    def do_stls(self, _):
        if self.server.tls != "starttls" or self.seen.get("encrypted"):
            return b"-ERR no TLS here\r\n"
        self.seen["encrypted"] = "next"
        return b"+OK begin\r\n"

    def do_user(self, rest):
        self.claimed = rest
        return b"+OK password required\r\n"

    def do_pass(self, rest):
        user = getattr(self, "claimed", None)
        box = self.server.mailboxes.get(user)
        return self.admit(user, box is not None and rest == box.password)

    def do_apop(self, rest):
        user, _, digest = rest.rpartition(" ")
        box = self.server.mailboxes.get(user)
        good = box and hashlib.md5((self.stamp + box.password).encode()).hexdigest()
        return self.admit(user, bool(good) and digest == good)

    def do_auth(self, rest):
        mechanism, _, initial = rest.partition(" ")
        mechanism = mechanism.upper()
        offered = " ".join(c for c in self.server.caps or () if c.startswith("SASL "))
        if mechanism not in offered.split()[1:]:
            return b"-ERR no such mechanism\r\n"
        try:
            return getattr(self, "auth_" + mechanism.lower().replace("-", "_"))(initial)
        except (binascii.Error, ValueError, UnicodeDecodeError):
            return b"-ERR malformed\r\n"

    def auth_plain(self, initial):
        _, user, password = base64.b64decode(initial or self.ask("")).decode().split("\0")
        return self.check(user, password)

    def auth_login(self, initial):
        user = base64.b64decode(initial or self.ask("Username:")).decode()
        return self.check(user, base64.b64decode(self.ask("Password:")).decode())

    def auth_cram_md5(self, _):
        user, _, digest = base64.b64decode(self.ask(self.stamp)).decode().rpartition(" ")
        box = self.server.mailboxes.get(user)
        good = box and hmac.new(box.password.encode(), self.stamp.encode(), "md5").hexdigest()
        return self.admit(user, bool(good) and digest == good)

    def auth_xoauth2(self, initial):
        fields = dict(f.split("=", 1) for f in base64.b64decode(initial or self.ask("")).decode().split("\1") if "=" in f)
        return self.check(fields["user"], fields["auth"].removeprefix("Bearer "))

    def auth_oauthbearer(self, initial):
        head, *fields = base64.b64decode(initial or self.ask("")).decode().split("\1")
        user = next(part[2:] for part in head.split(",") if part.startswith("a="))
        fields = dict(f.split("=", 1) for f in fields if "=" in f)
        return self.check(user, fields["auth"].removeprefix("Bearer "))

    def ask(self, challenge):
        self.send(b"+ " + base64.b64encode(challenge.encode()) + b"\r\n")
        answer = self.line().decode()
        if answer == "*":
            raise ValueError
        return answer

    def check(self, user, password):
        box = self.server.mailboxes.get(user)
        return self.admit(user, box is not None and box.password == password)

    def admit(self, user, good):
        self.user = user
        self.step("login", user, lambda: b"")
        if not good:
            return b"-ERR [AUTH] wrong password\r\n"
        box = self.server.mailboxes[user]
        if self.server.exclusive and not box.busy.acquire(timeout=0.5):
            return b"-ERR [IN-USE] mailbox is locked\r\n"
        self.seen["locked"] = self.server.exclusive
        self.mailbox = box
        self.messages = list(box.messages)      # numbers hold for one POP3 session
        self.marked = set()
        self.highest = box.last
        return f"+OK {user} has {len(self.messages)} messages\r\n".encode()

    # Transaction state

    def pick(self, rest):
        if not rest.isdigit() or not 1 <= int(rest) <= len(self.messages) or int(rest) in self.marked:
            return None
        return int(rest)

    def present(self):
        return [(n, m) for n, m in enumerate(self.messages, 1) if n not in self.marked]

    def do_stat(self, _):
        left = self.present()
        return f"+OK {len(left)} {sum(m.size for _, m in left)}\r\n".encode()

    def scan(self, rest, show):
        if rest:
            n = self.pick(rest)
            return f"+OK {n} {show(self.messages[n - 1])}\r\n".encode() if n else b"-ERR no such message\r\n"
        lines = "".join(f"{n} {show(m)}\r\n" for n, m in self.present())
        return b"+OK\r\n" + lines.encode("latin-1") + b".\r\n"

    def do_list(self, rest):
        return self.scan(rest, lambda m: m.size)

    def do_uidl(self, rest):
        return self.scan(rest, lambda m: m.uid)

    def do_retr(self, rest):
        n = self.pick(rest)
        if not n:
            return b"-ERR no such message\r\n"
        self.highest = max(self.highest, n)
        message = self.messages[n - 1]
        return b"+OK %d octets\r\n" % message.size + stuffed(message.octets)

    def do_top(self, rest):
        number, _, lines = rest.partition(" ")
        n = self.pick(number)
        if not n or not lines.isdigit():
            return b"-ERR no such message\r\n"
        head, blank, body = self.messages[n - 1].octets.partition(b"\r\n\r\n")
        body = b"".join(line + b"\r\n" for line in body.split(b"\r\n")[:int(lines)])
        return b"+OK\r\n" + stuffed(head + blank + body)

    def do_dele(self, rest):
        n = self.pick(rest)
        if not n:
            return b"-ERR no such message\r\n"
        self.marked.add(n)
        return b"+OK marked\r\n"

    def do_rset(self, _):
        self.marked.clear()
        return b"+OK\r\n"

    def do_noop(self, _):
        return b"+OK\r\n"

    def do_last(self, _):
        return f"+OK {self.highest}\r\n".encode()

    def do_quit(self, _):
        if self.mailbox:
            gone = [self.messages[n - 1] for n in self.marked]
            with self.server.lock:
                self.mailbox.messages = [m for m in self.mailbox.messages if m not in gone]
                self.mailbox.last = self.highest
                self.server.deleted += gone
            self.finish()
            self.seen["locked"] = False
        return b"+OK bye\r\n"


class Pop3Server(Server):
    session_class = Pop3Session

    def __init__(self, mailboxes, caps=CAPABILITIES, apop=False, without=(), exclusive=True, **where):
        super().__init__(**where)
        self.mailboxes = {user: Mailbox(password, messages) for user, (password, messages) in mailboxes.items()}
        self.caps = caps            # None: CAPA is unknown
        self.apop = apop
        self.without = set(without)     # verbs that are unknown here
        self.exclusive = exclusive
        self.deleted = []

    @property
    def pipelining(self):
        return "PIPELINING" in (self.caps or ())

    def left(self, user):
        """The octets of the messages that the mailbox holds."""
        return [m.octets for m in self.mailboxes[user].messages]
