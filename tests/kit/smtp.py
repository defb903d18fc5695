"""A scripted SMTP (RFC 5321) and LMTP (RFC 2033) server: correct by default, faulty by rule (see script.py).

    smtp = SmtpServer(refuse={"bob@localhost": b"550 5.1.1 no such user\\r\\n"})
    smtp.rules = [At("MAIL", n=3).reply(b"421 enough\\r\\n").close()]
    ...
    smtp.accepted[0].sender, .recipients, .octets

Steps: greeting, the verbs of the commands, "body" (octets=N: once N octets of the body have come), "dot" (the reply to the final
dot; LMTP: one for each recipient, its address is the argument). A message counts as accepted from the moment in which its 250 is about to be sent."""
import base64
import hmac
import re

from kit.script import At, After, Hangup, Server, Session  # noqa: F401 (for the tests)

EXTENSIONS = ("PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES")
OK = b"250 2.0.0 ok\r\n"
PATH = re.compile(r"(?i)^(?:FROM|TO):<([^<>]*)>(?: (.*))?$")


class Accepted:
    """A message for which this server has taken over responsibility."""

    def __init__(self, sender, parameters, recipients, octets, session):
        self.sender, self.parameters, self.recipients = sender, parameters, recipients
        self.octets = octets        # dots unstuffed
        self.session = session.number
        self.xclient = dict(session.xclient)

    def __repr__(self):
        return f"<{self.sender or '<>'} to {self.recipients}: {self.octets[:60]!r}>"


class SmtpSession(Session):
    def dialogue(self):
        self.greeted = self.encrypted = False
        self.login = None
        self.xclient = {}
        self.forget()
        self.step("greeting", None, lambda: b"220 kit ESMTP\r\n")
        while True:
            line = self.line().decode("utf-8", "surrogateescape")
            verb, _, rest = line.partition(" ")
            verb = verb.upper()
            self.commands.append(line)
            if self.buffer and not self.server.pipelining and verb != "BDAT":
                self.server.violation(f"pipelined without leave: {line!r}, then {bytes(self.buffer[:60])!r}")
            self.server.mark(f"command {verb}", self)
            handler = getattr(self, "do_" + verb.lower(), None)
            if handler is None or verb in self.server.without:
                self.step(verb, rest, lambda: b"502 5.5.1 unknown command\r\n")
            else:
                handler(rest)
            if verb == "QUIT":
                return

    def forget(self):
        self.sender, self.parameters, self.recipients, self.chunks = None, "", [], b""

    # Session

    def do_ehlo(self, rest):
        extensions = list(self.server.extensions)
        if self.server.tls == "starttls" and not self.encrypted:
            extensions.append("STARTTLS")
        if self.server.users and (self.encrypted or self.server.tls != "starttls"):
            extensions.append("AUTH PLAIN LOGIN CRAM-MD5")
        lines = ["kit"] + extensions
        reply = "".join(f"250{' ' if i == len(lines) - 1 else '-'}{text}\r\n" for i, text in enumerate(lines))
        self.step("LHLO" if self.server.lmtp else "EHLO", rest, lambda: self.greet(reply.encode()))

    do_lhlo = do_ehlo

    def do_helo(self, rest):
        self.step("HELO", rest, lambda: self.greet(b"250 kit\r\n"))

    def greet(self, reply):
        self.greeted = True
        self.forget()
        return reply

    def do_starttls(self, _):
        def normal():
            if self.server.tls != "starttls" or self.encrypted:
                return b"503 5.5.1 no TLS here\r\n"
            self.encrypted = "next"
            return b"220 2.0.0 begin\r\n"
        self.step("STARTTLS", None, normal)
        if self.encrypted == "next":
            if self.buffer:
                self.server.violation("octets behind STARTTLS")
            self.start_tls()
            self.encrypted, self.greeted = True, False

    def do_auth(self, rest):
        mechanism, _, initial = rest.partition(" ")
        self.step("AUTH", mechanism.upper(), lambda: self.authenticate(mechanism.upper(), initial))

    def authenticate(self, mechanism, initial):
        users = self.server.users or {}
        if mechanism == "PLAIN":
            _, user, password = base64.b64decode(initial or self.ask("")).decode().split("\0")
            good = user in users and users[user] == password
        elif mechanism == "LOGIN":
            user = base64.b64decode(initial or self.ask("Username:")).decode()
            good = base64.b64decode(self.ask("Password:")).decode() == users.get(user)
        elif mechanism == "CRAM-MD5":
            user, _, digest = base64.b64decode(self.ask("<1@kit>")).decode().rpartition(" ")
            good = user in users and digest == hmac.new(users[user].encode(), b"<1@kit>", "md5").hexdigest()
        else:
            return b"504 5.5.4 no such mechanism\r\n"
        if not good:
            return b"535 5.7.8 authentication failed\r\n"
        self.login = user
        return b"235 2.7.0 welcome\r\n"

    def ask(self, challenge):
        self.send(b"334 " + base64.b64encode(challenge.encode()) + b"\r\n")
        return self.line().decode()

    def do_xclient(self, rest):
        def normal():
            self.xclient.update(part.split("=", 1) for part in rest.split() if "=" in part)
            self.greeted = False
            return b"220 kit ESMTP\r\n"
        self.step("XCLIENT", rest, normal)

    def do_noop(self, _):
        self.step("NOOP", None, lambda: OK)

    def do_vrfy(self, rest):
        self.step("VRFY", rest, lambda: b"252 2.1.5 send some mail\r\n")

    def do_help(self, rest):
        self.step("HELP", rest, lambda: b"214-help\r\n214 yourself\r\n")

    def do_rset(self, _):
        self.step("RSET", None, lambda: (self.forget(), OK)[1])

    def do_quit(self, _):
        self.step("QUIT", None, lambda: b"221 2.0.0 bye\r\n")

    # Mail transaction

    def do_mail(self, rest):
        self.step("MAIL", rest, lambda: self.mail(rest))

    def mail(self, rest):
        match = PATH.match(rest)
        if not self.greeted or self.sender is not None:
            self.server.violation(f"MAIL out of order: {rest}")
            return b"503 5.5.1 not now\r\n"
        if not match or not rest.upper().startswith("FROM:"):
            self.server.violation(f"malformed MAIL {rest}")
            return b"501 5.5.4 syntax\r\n"
        if self.server.users and not self.login:
            return b"530 5.7.0 authentication required\r\n"
        self.sender, self.parameters = match.group(1), match.group(2) or ""
        return b"250 2.1.0 ok\r\n"

    def do_rcpt(self, rest):
        match = PATH.match(rest)
        address = match.group(1) if match else rest
        self.step("RCPT", address, lambda: self.rcpt(address, match))

    def rcpt(self, address, match):
        if self.sender is None:
            return b"503 5.5.1 MAIL first\r\n"
        if not match:
            self.server.violation(f"malformed RCPT {address}")
            return b"501 5.5.4 syntax\r\n"
        if address in self.server.refuse:
            return self.server.refuse[address]
        self.recipients.append(address)
        return b"250 2.1.5 ok\r\n"

    def do_data(self, _):
        def normal():
            if not self.recipients:
                return b"554 5.5.1 no valid recipients\r\n"
            self.seen["go"] = True
            return b"354 end with a dot\r\n"
        self.seen["go"] = False
        self.step("DATA", None, normal)
        if self.seen["go"]:
            self.deliver(self.body())

    def body(self):
        """The message, dots unstuffed. CRLF.CRLF ends it and nothing else."""
        self.server.mark("body", self)
        rules = [r for r in self.server.rules if r.step == "body"]
        self.seen["body"] = self.seen.get("body", 0) + 1
        while True:
            for rule in [r for r in rules if len(self.buffer) >= r.octets and r.matches(self, "body", self.seen["body"], None)]:
                rules.remove(rule)
                rule.play(self, lambda: b"")
            end = 0 if self.buffer.startswith(b".\r\n") else self.find_end()
            if end >= 0:
                break
            self.fill()
        raw = bytes(self.buffer[:end])
        del self.buffer[:end + 3]
        self.note("C:", raw + b".\r\n")
        if b"\r" in (clean := raw.replace(b"\r\n", b"")) or b"\n" in clean:
            self.server.violation("a bare CR or LF in a message")
        return (raw[1:] if raw.startswith(b".") else raw).replace(b"\r\n.", b"\r\n")

    def find_end(self):
        at = self.buffer.find(b"\r\n.\r\n", max(0, self.seen.get("scanned", 0) - 5))
        self.seen["scanned"] = len(self.buffer) if at < 0 else 0
        return at + 2 if at >= 0 else -1

    def do_bdat(self, rest):
        size, _, last = rest.partition(" ")
        while len(self.buffer) < int(size):
            self.fill()
        self.chunks += self.buffer[:int(size)]
        del self.buffer[:int(size)]
        if last.upper() == "LAST":
            self.deliver(self.chunks)
        else:
            self.step("BDAT", rest, lambda: OK if self.recipients else b"554 5.5.1 no valid recipients\r\n")

    def deliver(self, octets):
        sender, parameters, recipients = self.sender, self.parameters, self.recipients
        self.forget()
        self.server.mark("dot", self)

        def accept(whom):
            if self.server.delay:
                self.server.stopping.wait(self.server.delay)
            message = Accepted(sender, parameters, whom, octets, self)
            if self.server.judge and (verdict := self.server.judge(message)):
                return verdict
            with self.server.lock:
                self.server.accepted.append(message)
                number = len(self.server.accepted)
            return b"250 2.0.0 ok: queued as Q%d\r\n" % number

        for whom in [[r] for r in recipients] if self.server.lmtp else [recipients]:
            self.step("dot", whom[0], lambda: accept(whom))


class SmtpServer(Server):
    session_class = SmtpSession

    def __init__(self, extensions=EXTENSIONS, lmtp=False, users=None, refuse=None, judge=None, delay=0, without=(), **where):
        super().__init__(**where)
        self.extensions, self.lmtp, self.users = extensions, lmtp, users
        self.refuse = refuse or {}      # recipient -> reply
        self.judge = judge              # an Accepted -> reply that refuses it, or None
        self.delay = delay              # seconds that each message takes
        self.without = set(without)
        self.accepted = []

    @property
    def pipelining(self):
        return "PIPELINING" in self.extensions
