"""A private, real Dovecot on free loopback ports: POP3 (clear, STLS), POP3S, LMTP over TCP and a unix socket.

    with Dovecot(directory, {"thomas": [octets, ...]}) as dovecot:
        dovecot.port, dovecot.tls_port, dovecot.lmtp_port, dovecot.lmtp_socket
        dovecot.left("thomas")

Everything it needs or writes is below `directory`. Mail lies in Maildirs as the octets that were given; where they have LF line
ends Dovecot sends CRLF. Needs root, as Dovecot's own login processes do."""
import os
import shutil
import signal
import socket
import subprocess
import time

from kit.certs import Certs
from kit.popferry import die_with_parent
from kit.ports import free_port, has_ipv6

MAIL_UID = 65534


def available():
    return shutil.which("dovecot") is not None and os.geteuid() == 0


def wait_for_port(host, port, process, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            socket.create_connection((host, port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens at {host} port {port}")


class Dovecot:
    def __init__(self, directory, mailboxes, password="correct horse", cert=None, mechanisms="plain login cram-md5 apop", settings=""):
        self.directory = os.path.abspath(directory)
        self.password, self.cert = password, cert or Certs.shared().good
        self.mechanisms, self.settings = mechanisms, settings
        self.host = "127.0.0.1"
        self.port, self.tls_port, self.lmtp_port = free_port(), free_port(), free_port()
        self.lmtp_socket = os.path.join(self.directory, "lmtp")
        self.mailboxes = dict.fromkeys(mailboxes)
        self.process = None
        os.makedirs(self.directory, exist_ok=True)
        os.chmod(self.directory, 0o711)
        for user, messages in mailboxes.items():
            self.add_user(user)
            for octets in messages:
                self.add(user, octets)

    # Mail

    def maildir(self, user):
        return os.path.join(self.directory, "mail", user)

    def add_user(self, user):
        self.mailboxes[user] = 0
        for part in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(self.maildir(user), part), exist_ok=True)
        self._own()

    def _own(self):
        for root, _, files in os.walk(os.path.join(self.directory, "mail")):
            for path in [root] + [os.path.join(root, f) for f in files]:
                os.chown(path, MAIL_UID, MAIL_UID)

    def add(self, user, octets):
        self.mailboxes[user] += 1
        path = os.path.join(self.maildir(user), "new", f"{1700000000 + self.mailboxes[user]}.M{self.mailboxes[user]}.kit")
        with open(path, "wb") as file:
            file.write(octets)
        os.chown(path, MAIL_UID, MAIL_UID)

    def left(self, user):
        """The octets of each message in the mailbox."""
        found = []
        for part in ("new", "cur"):
            directory = os.path.join(self.maildir(user), part)
            for name in sorted(os.listdir(directory)):
                with open(os.path.join(directory, name), "rb") as file:
                    found.append(file.read())
        return found

    # The server

    def configuration(self):
        own = os.path.join(self.directory, "base")
        listen = "127.0.0.1, ::1" if has_ipv6() else "127.0.0.1"
        return f"""
base_dir = {own}
state_dir = {own}
log_path = {self.directory}/log
protocols = pop3 lmtp
listen = {listen}
ssl = yes
ssl_cert = <{self.cert.chain}
ssl_key = <{self.cert.key}
disable_plaintext_auth = no
auth_mechanisms = {self.mechanisms}
auth_failure_delay = 0
mail_location = maildir:{self.directory}/mail/%u
mail_uid = {MAIL_UID}
mail_gid = {MAIL_UID}
first_valid_uid = 1
first_valid_gid = 1
mail_fsync = never
pop3_lock_session = yes
mail_max_userip_connections = 100
verbose_proctitle = no
stats_writer_socket_path =
passdb {{
  driver = passwd-file
  args = {self.directory}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {self.directory}/users
}}
service anvil {{
  chroot =
}}
service pop3-login {{
  chroot =
  process_min_avail = 1
  service_count = 0
  inet_listener pop3 {{
    port = {self.port}
  }}
  inet_listener pop3s {{
    port = {self.tls_port}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.lmtp_port}
  }}
  unix_listener {self.lmtp_socket} {{
    mode = 0666
  }}
}}
protocol lmtp {{
  auth_username_format = %n
}}
{self.settings}
"""

    def start(self):
        os.makedirs(os.path.join(self.directory, "base"), exist_ok=True)
        with open(os.path.join(self.directory, "users"), "w") as file:
            for user in self.mailboxes:
                file.write(f"{user}:{{PLAIN}}{self.password}:{MAIL_UID}:{MAIL_UID}::{self.directory}/mail/{user}::\n")
        conf = os.path.join(self.directory, "dovecot.conf")
        with open(conf, "w") as file:
            file.write(self.configuration())
        self.process = subprocess.Popen(["dovecot", "-F", "-c", conf], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(os.path.join(self.directory, "err"), "w"), preexec_fn=die_with_parent)
        wait_for_port("127.0.0.1", self.port, self.process)
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def log(self):
        text = ""
        for name in ("err", "log"):
            path = os.path.join(self.directory, name)
            if os.path.exists(path):
                with open(path, errors="replace") as file:
                    text += file.read()
        return text

    def transcript(self):
        return "  Dovecot's log:\n" + "\n".join("    " + line for line in self.log().splitlines()[-40:])

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
