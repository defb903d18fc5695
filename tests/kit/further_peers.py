"""Real servers beside Dovecot and Postfix, each a private instance on a free loopback port (see packages.py).

POP3: Courier (Maildir), Popa3d (mbox). SMTP: Exim, OpenSmtpd (both into Maildirs)."""
import os
import re
import sys

from kit.packages import PASSWORD, PackageRoot
from kit.ports import free_port

FIELD = re.compile(rb"[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*")

# Accepts at a port and runs a program on each connection, as inetd does.
INETD = """
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
while True:
    connection, _ = listener.accept()
    subprocess.Popen(sys.argv[2:], stdin=connection, stdout=connection)
    connection.close()
"""


class Peer:
    host, password, tls = "127.0.0.1", PASSWORD, "none"
    name = packages = None
    libraries = system_users = ()

    def __init__(self, directory, users):
        os.makedirs(directory)
        self.users, self.port = list(users), free_port()
        self.root = PackageRoot(directory, self.name, self.packages, self.libraries, self.users, self.system_users)
        self.own = self.root.own

    def start(self):
        self.prepare()
        self.root.start(self.command(), self.port)
        return self

    def stop(self):
        self.root.stop()

    def transcript(self):
        return f"  {type(self).__name__}:\n" + "\n".join("    " + line for line in self.root.output().splitlines()[-40:])

    # Maildirs below the users' homes

    def maildir(self, user):
        return os.path.join(self.own, "home", user, "Maildir")

    def make_maildir(self, user):
        for part in ("", "cur", "new", "tmp"):
            path = os.path.join(self.maildir(user), part)
            os.makedirs(path, exist_ok=True)
            os.chown(path, self.root.uids[user], self.root.uids[user])

    def stored(self, user):
        found = []
        for part in ("new", "cur"):
            directory = os.path.join(self.maildir(user), part)
            for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
                with open(os.path.join(directory, name), "rb") as file:
                    found.append(file.read())
        return found


class Courier(Peer):
    name = "courier"
    packages = ("courier-pop", "courier-base", "courier-authlib", "courier-authdaemon", "libcourier-unicode4")
    libraries = ("libltdl7", "libgdbm6", "libidn12", "libpcre3", "libgamin0")
    system_users = ("courier",)

    def prepare(self):
        for user in self.users:
            self.make_maildir(user)
        self.root.write("/etc/courier/authdaemonrc",
                        'authmodulelist="authpam"\nauthmodulelistorig="authpam"\ndaemons=3\nauthdaemonvar=/run/courier/authdaemon\n'
                        "DEBUG_LOGIN=1\nDEFAULTOPTIONS=\"\"\nLOGGEROPTS=\"\"\n")
        self.root.write("/etc/pam.d/pop3", "auth required pam_unix.so\naccount required pam_unix.so\n")

    def command(self):
        lib = "/usr/lib/courier"
        return (f"mkdir -p /run/courier/authdaemon && chmod 755 /run/courier /run/courier/authdaemon && /usr/sbin/authdaemond start && "
                f"set -a && . /etc/courier/pop3d && exec /usr/sbin/couriertcpd -address=127.0.0.1 -maxprocs=40 -maxperip=40 -nodnslookup "
                f"-noidentlookup {self.port} {lib}/courier/courierpop3login {lib}/courier/courierpop3d Maildir")

    def add(self, user, octets):
        self.make_maildir(user)
        path = os.path.join(self.maildir(user), "new", f"{1700000000 + len(self.stored(user))}.M{os.urandom(4).hex()}.kit")
        with open(path, "wb") as file:
            file.write(octets.replace(b"\r\n", b"\n"))
        os.chown(path, self.root.uids[user], self.root.uids[user])

    def left(self, user):
        return self.stored(user)


class Popa3d(Peer):
    name = "popa3d"
    packages = ("popa3d",)
    system_users = ("popa3d",)

    def prepare(self):
        self.root.write("/etc/pam.d/popa3d", "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n")
        self.root.write("/var/lib/popa3d/.keep", "")
        with open(os.path.join(self.own, "inetd.py"), "w") as file:
            file.write(INETD)
        os.makedirs(self.own + "/mail", exist_ok=True)
        os.chmod(self.own + "/mail", 0o1777)

    def command(self):
        return (f"rm -f /var/lib/popa3d/.keep; chmod 755 /var/lib/popa3d; mount --bind {self.own}/mail /var/mail && "
                f"exec {sys.executable} {self.own}/inetd.py {self.port} /usr/sbin/popa3d")

    def path(self, user):
        return os.path.join(self.own, "mail", user)

    def add(self, user, octets):
        os.makedirs(self.own + "/mail", exist_ok=True)
        with open(self.path(user), "ab") as file:
            octets = octets.replace(b"\r\n", b"\n")
            file.write(b"From alice@example.test Mon Jan  1 00:00:00 2024\n" + octets + (b"\n" if octets.endswith(b"\n") else b"\n\n"))
        os.chown(self.path(user), self.root.uids[user], self.root.uids[user])
        os.chmod(self.path(user), 0o600)

    def left(self, user):
        if not os.path.exists(self.path(user)):
            return []
        with open(self.path(user), "rb") as file:
            return re.split(rb"(?m)^From [^\n]* 2024\n", file.read())[1:]


class SmtpPeer(Peer):
    def prepare(self):
        for user in self.users:
            self.make_maildir(user)

    def arrived(self, user):
        """The messages as popferry handed them over: CRLF line ends, the server's own fields taken off."""
        found = []
        for octets in self.stored(user):
            while not octets.startswith(b"Received: from 127.0.0.1 ([127.0.0.1])\n\tby"):
                field = FIELD.match(octets)
                if not field:
                    break
                octets = octets[field.end():]
            found.append(octets.replace(b"\n", b"\r\n"))
        return found


class Exim(SmtpPeer):
    name = "exim"
    packages = ("exim4-daemon-light", "exim4-base")
    libraries = ("libgnutls-dane0", "libunbound8", "libevent-2.1-7", "libnsl2", "libtirpc3", "libdb5.3", "libidn12", "libpcre2-8-0")
    system_users = ("Debian-exim",)

    def prepare(self):
        super().prepare()
        for part in ("spool", "logs"):
            os.makedirs(f"{self.own}/{part}", exist_ok=True)
            os.chown(f"{self.own}/{part}", self.root.uids["Debian-exim"], self.root.uids["Debian-exim"])
        self.root.write("/etc/exim4/exim4.conf", f"""
primary_hostname = kit.test
qualify_domain = localhost
domainlist local_domains = localhost
spool_directory = {self.own}/spool
log_file_path = {self.own}/logs/%s
keep_environment =
tls_advertise_hosts =
chunking_advertise_hosts = *
smtputf8_advertise_hosts =
dsn_advertise_hosts = *
host_lookup =
rfc1413_query_timeout = 0s
smtp_enforce_sync = true
message_size_limit = 50M
never_users =
acl_smtp_rcpt = rcpt
acl_smtp_data = data
begin acl
rcpt:
  require verify = recipient
  accept
data:
  deny condition = ${{if match{{$h_subject:}}{{refuse me}}}}
       message = 5.7.1 not such a subject
  accept
begin routers
local:
  driver = accept
  domains = +local_domains
  check_local_user
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = $home/Maildir
  maildir_format
  return_path_add = true
begin retry
* * F,1h,1m
""")

    def command(self):
        return f"exec /usr/sbin/exim4 -bdf -q2s -oX 127.0.0.1.{self.port}"


class OpenSmtpd(SmtpPeer):
    name = "opensmtpd"
    packages = ("opensmtpd",)
    libraries = ("libevent-2.1-7", "libdb5.3")
    system_users = ("opensmtpd", "opensmtpq")

    def prepare(self):
        super().prepare()
        self.root.write("/etc/mailname", "kit.test\n")
        self.root.write("/etc/smtpd.conf", f"""
listen on 127.0.0.1 port {self.port} hostname kit.test
action "local" maildir
match from any for domain "localhost" action "local"
match from any for any reject
""")

    def command(self):
        return "mkdir -p /var/spool/smtpd /var/empty /run/opensmtpd && chmod 711 /var/spool/smtpd && exec /usr/sbin/smtpd -d -f /etc/smtpd.conf"
