"""Messages for the tests: ordinary ones, and those that have broken other programs."""
import random


def letter(number=1, body=b"Good morning.\r\n", size=None, sender="alice@example.test"):
    """An ordinary message; with `size` its body is filled to about that many octets."""
    head = (f"Return-Path: <{sender}>\r\nFrom: {sender}\r\nTo: thomas@example.test\r\nSubject: letter {number}\r\n"
            f"Message-ID: <{number}@example.test>\r\nDate: Mon, 01 Jan 2024 00:00:00 +0000\r\n\r\n").encode()
    if size:
        line = (b"%06d " % number + b"abcdefghijklmnopqrstuvwxyz" * 3)[:76] + b"\r\n"
        body = line * max(1, (size - len(head)) // len(line))
    return head + body


def letters(count, **how):
    return [letter(n, **how) for n in range(1, count + 1)]


HEAD = b"From: a@example.test\r\nSubject: odd\r\n\r\n"

ODD = {
    "NUL octets": HEAD + b"a\0b\0\0c\r\n\0\r\n",
    "8-bit octets": HEAD + bytes(range(128, 256)) + b"\r\n" + "Grüße\r\n".encode(),
    "every octet": HEAD + bytes(b for b in range(256) if b not in (10, 13)) + b"\r\n",
    "a line of 1 MB": HEAD + b"x" * 1_000_000 + b"\r\nend\r\n",
    "a header line of 200 KB": b"From: a@example.test\r\nX-Long: " + b"y" * 200_000 + b"\r\n\r\nbody\r\n",
    "bare LF": HEAD + b"one\ntwo\n\nthree\r\n",
    "bare CR": HEAD + b"one\rtwo\r\rthree\r\n",
    "CRs before LF": HEAD + b"one\r\r\ntwo\r\r\r\nthree\r\n",
    "LF dot LF": HEAD + b"one\n.\nMAIL FROM:<evil@example.test>\r\n",
    "LF dot CRLF": HEAD + b"one\n.\r\nsmuggled\r\n",
    "CRLF dot LF": HEAD + b"one\r\n.\nsmuggled\r\n",
    "CR dot CR": HEAD + b"one\r.\rsmuggled\r\n",
    "CR CRLF dot": HEAD + b"one\r\r\n.\r\ntwo\r\n",
    "lines of dots": HEAD + b"".join(b"." * n + b"\r\n" for n in range(1, 12)) + b"..........\r\n",
    "dot at the start": b".From: a\r\n\r\n.\r\n",
    "empty": b"",
    "an empty line": b"\r\n",
    "header only": b"From: a@example.test\r\nSubject: no body\r\n",
    "header and blank line": HEAD,
    "no final line end": HEAD + b"the end",
    "final CR": HEAD + b"the end\r",
    "final LF": HEAD + b"the end\n",
    "no header": b"\r\njust text\r\n",
    "no header at all": b"just text, and no colon\r\nanother line\r\n",
    "LF line ends only": HEAD.replace(b"\r\n", b"\n") + b"text\n.\n..\nmore\n",
    "From line first": b"From alice Mon Jan  1 00:00:00 2024\r\n" + HEAD + b">From here\r\nFrom there\r\n",
    "folded Return-Path": b"Return-Path:\r\n <alice@example.test>\r\n" + HEAD + b"text\r\n",
    "two Return-Paths": b"Return-Path: <one@example.test>\r\nReturn-Path: <two@example.test>\r\n" + HEAD + b"text\r\n",
    "Return-Path below": HEAD + b"Return-Path: <not@a.header>\r\n",
    "random octets": HEAD + random.Random(7).randbytes(300_000),
    "1 MiB and one": HEAD + b"z" * 70 + b"\r\n" + (b"q" * 62 + b"\r\n") * 16384,
    "3 MB": HEAD + (b".begins with a dot" * 4 + b"\r\n") * 40_000,
}
