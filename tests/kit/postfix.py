"""A private, real Postfix: smtpd on a free loopback port, a real queue, delivery into Maildirs below one directory.

    with Postfix(directory) as postfix:
        postfix.port
        postfix.wait()                 until the queue is empty
        postfix.arrived("thomas")      the octets as popferry handed them over

Everything it needs or writes is below `directory`. Needs root and the user postfix."""
import os
import pwd
import re
import shutil
import signal
import subprocess
import time

from kit.certs import Certs
from kit.dovecot import MAIL_UID, wait_for_port
from kit.popferry import die_with_parent
from kit.ports import free_port

DAEMONS = "/usr/lib/postfix/sbin"
OWN_FIELDS = re.compile(rb"(?:Return-Path|X-Original-To|Delivered-To):[^\n]*\n(?:[ \t][^\n]*\n)*")
FIELD = re.compile(rb"Received:[^\n]*\n(?:[ \t][^\n]*\n)*")

USERS = ("thomas", "anna", "karl", "lisa", *(f"user{n}" for n in range(60)))

SERVICES = """
smtp inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


def available():
    return os.path.exists(os.path.join(DAEMONS, "master")) and os.geteuid() == 0


class Postfix:
    def __init__(self, directory, settings=None, cert=None, users=USERS):
        self.directory = os.path.abspath(directory)
        self.host, self.port = "127.0.0.1", free_port()
        self.cert = cert or Certs.shared().good
        self.settings, self.users = settings or {}, users
        self.config = os.path.join(self.directory, "config")
        self.queue = os.path.join(self.directory, "queue")
        self.mail = os.path.join(self.directory, "mail")
        self.process = None

    def configure(self):
        user = pwd.getpwnam("postfix")
        os.makedirs(self.directory, exist_ok=True)
        os.chmod(self.directory, 0o711)
        for name in (self.config, self.queue, self.mail, os.path.join(self.directory, "data")):
            os.makedirs(name, exist_ok=True)
        os.chown(os.path.join(self.directory, "data"), user.pw_uid, user.pw_gid)
        os.chown(self.mail, MAIL_UID, MAIL_UID)
        with open(os.path.join(self.config, "users"), "w") as file:
            file.writelines(f"{name}@localhost {name}/\n" for name in self.users)
        settings = {
            "compatibility_level": "3.6", "queue_directory": self.queue, "data_directory": self.directory + "/data",
            "mail_owner": "postfix", "setgid_group": "postdrop", "daemon_directory": DAEMONS, "command_directory": "/usr/sbin",
            "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4", "mynetworks": "127.0.0.0/8", "myhostname": "kit.test",
            "mydestination": "", "local_recipient_maps": "", "alias_maps": "", "alias_database": "",
            "virtual_mailbox_domains": "localhost", "virtual_mailbox_base": self.mail,
            "virtual_mailbox_maps": f"texthash:{self.config}/users", "virtual_uid_maps": f"static:{MAIL_UID}",
            "virtual_gid_maps": f"static:{MAIL_UID}", "virtual_minimum_uid": "1", "virtual_mailbox_limit": "0",
            "message_size_limit": "104857600", "mailbox_size_limit": "0", "local_header_rewrite_clients": "",
            "message_drop_headers": "", "header_size_limit": "10000000", "smtpd_recipient_restrictions": "permit_mynetworks, reject",
            "smtpd_relay_restrictions": "", "smtpd_forbid_bare_newline": None, "default_transport": "discard",
            "relay_transport": "discard", "disable_dns_lookups": "yes",
            "maillog_file": self.directory + "/log", "maillog_file_prefixes": self.directory, "queue_run_delay": "1s",
            "minimal_backoff_time": "1s", "maximal_backoff_time": "2s", "smtpd_tls_cert_file": self.cert.chain,
            "smtpd_tls_key_file": self.cert.key, "smtpd_tls_security_level": "may", "smtpd_client_connection_count_limit": "0",
            "anvil_rate_time_unit": "1s", **self.settings}
        with open(os.path.join(self.config, "main.cf"), "w") as file:
            file.writelines(f"{k} = {v}\n" for k, v in settings.items() if v is not None)
        with open(os.path.join(self.config, "master.cf"), "w") as file:
            file.write(SERVICES.replace("smtp inet", f"127.0.0.1:{self.port} inet"))

    def start(self):
        if not os.path.isdir(self.config):
            self.configure()
            subprocess.run(["postfix", "-c", self.config, "check"], check=True, capture_output=True)
        self.process = subprocess.Popen([os.path.join(DAEMONS, "master"), "-c", self.config, "-d"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        wait_for_port(self.host, self.port, self.process)
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    # Mail

    def queued(self):
        return [name for part in ("maildrop", "incoming", "active", "deferred")
                for _, _, files in os.walk(os.path.join(self.queue, part)) for name in files]

    def wait(self, seconds=60):
        """Wait until every accepted message is delivered."""
        end = time.monotonic() + seconds
        while self.queued():
            if time.monotonic() > end:
                raise RuntimeError(f"Postfix's queue does not empty: {self.queued()[:5]}\n{self.log()[-4000:]}")
            time.sleep(0.1)

    def stored(self, user):
        """The files in the user's Maildir, as Postfix wrote them (LF line ends, its own fields on top)."""
        self.wait()
        directory = os.path.join(self.mail, user, "new")
        found = []
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
            with open(os.path.join(directory, name), "rb") as file:
                found.append(file.read())
        return found

    def arrived(self, user):
        """The messages as popferry handed them over: Postfix's own fields taken off, CRLF line ends."""
        found = []
        for octets in self.stored(user):
            while match := OWN_FIELDS.match(octets):
                octets = octets[match.end():]
            octets = octets[FIELD.match(octets).end():]     # smtpd's own
            found.append(octets.replace(b"\n", b"\r\n"))
        return found

    def empty(self):
        """Forget what has arrived."""
        self.wait()
        for name in os.listdir(self.mail):
            shutil.rmtree(os.path.join(self.mail, name))

    def log(self):
        path = self.directory + "/log"
        if not os.path.exists(path):
            return ""
        with open(path, errors="replace") as file:
            return file.read()

    def transcript(self):
        return "  Postfix's log:\n" + "\n".join("    " + line for line in self.log().splitlines()[-40:])

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
