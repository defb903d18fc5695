"""The two shores of the bench: Dovecot and the scripted POP3 server, the SMTP sink and Postfix, and the line between."""
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

from kit.ports import free_port  # noqa: E402

TOOLS = Path(__file__).resolve().parents[2] / "build" / "bench"
HEAD = ("Return-Path: <sender@bench.example>\nFrom: Bench <sender@bench.example>\nTo: you@bench.example\n"
        "Date: Mon, 02 Mar 2026 10:00:00 +0000\nMessage-ID: <{0}@bench.example>\nSubject: Message {0}\nX-Bench-Id: {0}\n")


def wait_for_port(port, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


class Tool:
    """One of the C tools: started, its port read from its first line, ended with SIGTERM."""

    def __init__(self, name, *arguments):
        self.process = subprocess.Popen([TOOLS / name, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
        self.line = self.process.stdout.readline().split()
        self.port = int(self.line[0])

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        self.process.stdout.close()


class Sink:
    """The SMTP sink; tally() ends it."""

    def __init__(self, room, pause_ms=0):
        self.path = room / "tally"
        self.tool = Tool("smtpsink", self.path, pause_ms)
        self.port = self.tool.port

    def tally(self):
        self.tool.stop()
        pairs = [line.split() for line in self.path.read_text().splitlines()]
        return [(int(number), int(octets)) for number, octets in pairs]

    def stop(self):
        self.tool.stop()


class Postfix:
    """A private Postfix that holds every message in its queue: each is on the disk (fsync) before its 250."""

    def __init__(self, room):
        if os.geteuid() != 0:
            raise RuntimeError("Postfix starts for root only")
        self.etc, self.queue = room / "postfix", room / "spool"
        data = room / "postfix-data"
        self.port = free_port()
        self.etc.mkdir(), self.queue.mkdir(), data.mkdir()
        shutil.chown(data, "postfix")
        (self.etc / "main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {self.queue}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = bench.example
mydestination =
relay_domains = bench.example
maillog_file = /dev/stdout
smtpd_peername_lookup = no
smtpd_sender_restrictions = static:HOLD
smtpd_relay_restrictions = permit_mynetworks, reject
""")
        (self.etc / "master.cf").write_text(f"""
127.0.0.1:{self.port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
flush unix n - n 1000? 0 flush
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
postlog unix-dgram n - n - 1 postlogd
""")
        self.log = open(room / "postfix.log", "w")
        self.process = subprocess.Popen(["postfix", "-c", self.etc, "start-fg"], stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL, start_new_session=True)
        wait_for_port(self.port)

    def tally(self):
        found = []
        for path in self.queue.glob("hold/*"):
            match = re.search(rb"X-Bench-Id: (\d+)", path.read_bytes())
            found.append((int(match[1]) if match else -1, None))
            path.unlink()
        return found

    def stop(self):
        subprocess.run(["postfix", "-c", self.etc, "stop"], stdout=self.log, stderr=self.log, check=False)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Scripted:
    """The POP3 server that costs next to nothing."""
    name = "scripted server"

    def __init__(self, _room, _accounts, messages, octets):
        self.tool = Tool("pop3d", messages, octets)
        self.port, self.tail = self.tool.port, int(self.tool.line[1])
        self.tls_port = None

    def fill(self):
        self.tool.process.send_signal(signal.SIGUSR1)

    def stop(self):
        self.tool.stop()


class Dovecot:
    """A private Dovecot with a Maildir for each account, filled anew before each program's run."""
    name = "Dovecot"

    def __init__(self, room, accounts, messages, octets):
        # In memory where that is possible: how fast the server's disk deletes files is not what is measured.
        shm = Path("/dev/shm")
        self.room = Path(tempfile.mkdtemp(prefix="popferry-bench-", dir=shm if os.access(shm, os.W_OK) else room))
        self.room.chmod(0o755)
        self.accounts, self.messages = accounts, messages
        self.port, self.tls_port = free_port(), free_port()
        self.owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        (self.room / "mail").mkdir()
        os.chown(self.room / "mail", self.owner.pw_uid, self.owner.pw_gid)
        self.make_body(octets)
        self.configure()
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self.room / "dovecot.conf"], stdin=subprocess.DEVNULL,
                                        stderr=open(self.room / "stderr", "w"), start_new_session=True)
        wait_for_port(self.port)

    def make_body(self, octets):
        wanted = max(octets - len(HEAD.format(0).replace("\n", "\r\n")) - 2, 16)
        line = "".join(chr(97 + i * 5 % 26) for i in range(76)) + "\n"
        self.body = "\n" + line * (wanted // 78) + "x" * max(wanted % 78 - 2, 0) + "\n"
        self.tail = len(self.body) + self.body.count("\n")

    def configure(self):
        certificate, key = self.room / "cert.pem", self.room / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "30",
                        "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
        self.certificate = certificate
        user = "" if os.geteuid() == 0 else f"default_internal_user = {self.owner.pw_name}\n" \
            f"default_login_user = {self.owner.pw_name}\nservice anvil {{\n chroot =\n}}\n"
        chroot = "" if os.geteuid() == 0 else " chroot =\n"
        (self.room / "dovecot.conf").write_text(f"""
base_dir = {self.room}/run
state_dir = {self.room}/state
log_path = {self.room}/log
protocols = pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain
mail_max_userip_connections = 0
default_process_limit = 512
default_client_limit = 8192
{user}
passdb {{
 driver = static
 args = password=x
}}
userdb {{
 driver = static
 args = uid={self.owner.pw_uid} gid={self.owner.pw_gid} home={self.room}/mail/%u
}}
mail_location = maildir:~/Maildir
service pop3-login {{
 inet_listener pop3 {{
  port = {self.port}
 }}
 inet_listener pop3s {{
  port = {self.tls_port}
  ssl = yes
 }}
{chroot}}}
""")

    def fill(self):
        for account in range(self.accounts):
            home = self.room / "mail" / f"u{account}"
            while home.exists():  # a session that was broken off may still be busy there
                shutil.rmtree(home, ignore_errors=True)
            for part in "cur", "new", "tmp":
                (home / "Maildir" / part).mkdir(parents=True)
            for number in range(account * self.messages, (account + 1) * self.messages):
                text = HEAD.format(number) + self.body
                size = len(text)
                name = f"{1700000000 + number}.M{number}.bench,S={size},W={size + text.count(chr(10))}:2,"
                (home / "Maildir" / "cur" / name).write_text(text)
            for path in [home, *home.rglob("*")]:
                os.chown(path, self.owner.pw_uid, self.owner.pw_gid)
        # The first look builds Dovecot's own index: not the client's cost.
        for account in range(self.accounts):
            with socket.create_connection(("127.0.0.1", self.port)) as s, s.makefile("rw", newline="\r\n") as f:
                for command in f"USER u{account}", "PASS x", "UIDL", "LIST", "QUIT":
                    f.write(command + "\n")
                f.flush()
                f.read()
        os.sync()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.room, ignore_errors=True)
