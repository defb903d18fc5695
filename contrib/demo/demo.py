#!/usr/bin/env python3
"""See popferry work, on loopback and nothing else: contrib/demo/demo.py [PROGRAM]

A POP3 server with two mailboxes, an SMTP server, a fetchrc for both accounts, and two runs."""
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from kit.pop3 import Message, Pop3Server  # noqa: E402
from kit.smtp import SmtpServer  # noqa: E402

# Sizes in octets as the server lists them, sender, subject, text.
THOMAS = [
    (510, "info@buchladen.example", "Ihre Bestellung", "Das Buch ueber Perl liegt fuer Sie bereit."),
    (412, "anna@uni.example", "Seminar am Montag", "Raum 204, wie immer um zehn."),
    (413, "bernd@firma.example", "Protokoll", "Anbei, was wir besprochen haben."),
    (376, "cron@www.example", "backup", "0 errors"),
    (374, "anna@uni.example", "Re: Seminar", "Bis dann!"),
    (409, "liste@perl.example", "qr// und /x", "Kommentare in Mustern sind erlaubt."),
    (455, "bernd@firma.example", "Re: Protokoll", "Zwei Punkte fehlen noch, siehe unten."),
    (422, "liste@perl.example", "Perl und POP3", "Net::POP3 liest, Net::SMTP schreibt."),
]
INFO = [
    (468, "kunde@shop.example", "Anfrage", "Was kostet der Versand in die Schweiz?"),
    (431, "post@amt.example", "Aktenzeichen 12", "Ihr Antrag ist eingegangen."),
    (640, "kunde@shop.example", "Punkte", "Hier stehen Punkte, die ankommen muessen:\r\n..........\r\n.\r\n..\r\nFertig."),
]


def mail(number, size, sender, subject, text, to):
    """A message of exactly `size` octets."""
    head = (f"Return-Path: <{sender}>\r\nReceived: from {sender.split('@')[1]}\r\n\tby pop.example; Mon, 2 Oct 2000 18:{number:02}:11 +0200\r\n"
            f"Date: Mon, 2 Oct 2000 18:{number:02}:02 +0200\r\nFrom: {sender}\r\n"
            f"Message-Id: <{number}@{sender.split('@')[1]}>\r\nTo: {to}\r\nSubject: {subject}\r\n")
    octets = f"{head}\r\n{text}\r\n"
    while len(octets) < size:  # fill up with a line of dashes, as many as it takes
        left = size - len(octets)
        octets += "-" * (min(left, 74) - 2) + "\r\n" if left >= 2 else ""
        if left == 1:
            octets = octets.replace("\r\n\r\n", "\r\n\r\n ", 1)
    assert len(octets) == size, (number, len(octets), size)
    return Message(octets.encode(), uid=f"65d35b6764e2fc801f68323ba92889{number:02}")


def mailbox(mails, to, first):
    return [mail(first + n, *fields, to) for n, fields in enumerate(mails)]


def field(octets, name):
    match = re.search(rb"(?im)^" + name.encode() + rb": ([^\r\n]*)", octets)
    return match[1].decode() if match else ""


def rule(title):
    print(f"\n{'-' * 3} {title} {'-' * (75 - len(title))}")


def show_mailboxes(pop3, words):
    for user in pop3.mailboxes:
        left = pop3.left(user)
        print(f"  {user + '@127.0.0.1':<22} {len(left)} messages {words}, {sum(map(len, left))} octets")


def run(program, fetchrc, state):
    command = [program, "-c", fetchrc, "--state-dir", state, "-v"]
    print(f"$ {os.path.relpath(program)} -c fetchrc -v")
    start = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    for line in (done.stdout + done.stderr).splitlines():
        print(textwrap.fill(line, 78, initial_indent="  ", subsequent_indent="    ", break_long_words=False,
                            break_on_hyphens=False))
    print(f"  exit status {done.returncode} after {time.monotonic() - start:.2f} s")
    return done.returncode


def show_arrived(arrived):
    print(f"  {'to':<18} {'from':<24} {'subject':<22} octets")
    for message in arrived:
        print(f"  {', '.join(message.recipients):<18} {message.sender:<24} {field(message.octets, 'Subject'):<22} "
              f"{len(message.octets):>6}")


def main():
    program = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "popferry"))
    pop3 = Pop3Server({"thomas": ("fahle", mailbox(THOMAS, "thomas@pop.example", 1)),
                       "info": ("xyz", mailbox(INFO, "info@pop.example", 21))})
    smtp = SmtpServer()
    sent = [m.octets for box in pop3.mailboxes.values() for m in box.messages]
    with tempfile.TemporaryDirectory(prefix="popferry-demo-") as room, pop3, smtp:
        fetchrc = os.path.join(room, "fetchrc")
        text = FETCHRC.format(smtp=smtp.port, pop3=pop3.port)
        with open(fetchrc, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(text)

        rule("The fetchrc")
        print(textwrap.indent(text.rstrip(), "  "))
        rule("Before")
        show_mailboxes(pop3, "wait")
        rule("The first run")
        status = run(program, fetchrc, os.path.join(room, "state"))
        rule("What arrived at the SMTP server")
        first = list(smtp.accepted)
        show_arrived(first)
        rule("What is left on the POP3 server")
        show_mailboxes(pop3, "left")
        rule("One of them, as it arrived")
        shown = max(first, key=lambda message: len(message.octets), default=None)
        print(textwrap.indent(shown.octets.decode().replace("\r", ""), "  | ", lambda _: True) if shown else "  nothing")
        rule("The second run")
        status = status or run(program, fetchrc, os.path.join(room, "state"))
        again = len(smtp.accepted) - len(first)
        left = sum(len(pop3.left(user)) for user in pop3.mailboxes)
        rule("So")
        print(f"  {len(sent)} messages waited, {len(first)} arrived, {left} are left, the second run fetched {again}.")
    good = status == 0 and len(first) == len(sent) and left == 0 and again == 0
    print("  The demo went as it should." if good else "  THE DEMO WENT WRONG.")
    return 0 if good else 1


FETCHRC = """\
destination "local" {{
    host = "127.0.0.1"
    port = {smtp}
}}
account "thomas" {{
    host       = "127.0.0.1"
    port       = {pop3}
    tls        = "none"            # only here, on loopback: the default is "implicit"
    username   = "thomas"
    password   = "fahle"
    recipients = {{"thomas"}}
}}
account "info" {{
    host       = "127.0.0.1"
    port       = {pop3}
    tls        = "none"
    username   = "info"
    password   = "xyz"
    recipients = {{"info"}}
}}
"""

if __name__ == "__main__":
    sys.exit(main())
