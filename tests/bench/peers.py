"""The programs of the bench: how each is told to do the same job."""
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

SINK = "you@bench.example"


@dataclass
class Job:
    """What a program is to do. room: a directory of its own, kept between the runs of one program."""
    room: Path
    pop_port: int
    smtp_port: int
    accounts: int
    keep: bool = False
    tls: Path | None = None  # the server's certificate
    jobs: int = 8
    discard: bool = False  # a first run that is not measured: what the peers deliver goes nowhere, at once


def write(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


def msmtp(job):
    return f"/usr/bin/msmtp --host=127.0.0.1 --port={job.smtp_port} --tls=off --auth=off --timeout=60"


def maildir(job):
    for part in "cur", "new", "tmp":
        (job.room / "maildir" / part).mkdir(parents=True, exist_ok=True)
    return job.room / "maildir"


def popferry(job):
    text = f'''jobs = {job.jobs}
jobs_per_host = {job.jobs}
state_dir = "{job.room}/state"
destination "local" {{
    host = "127.0.0.1"
    port = {job.smtp_port}
}}
'''
    for n in range(job.accounts):
        tls = f'tls = "implicit"\n    tls_ca_file = "{job.tls}"' if job.tls else 'tls = "none"'
        text += f'''account "u{n}" {{
    host = "127.0.0.1"
    port = {job.pop_port}
    {tls}
    username = "u{n}"
    password = "x"
    recipients = {{"{SINK}"}}
    keep = {"true" if job.keep else "false"}
}}
'''
    return [os.environ.get("POPFERRY", str(Path(__file__).resolve().parents[2] / "popferry")), "-c", write(job.room / "fetchrc", text), "run"]


def fetchmail(job):
    options = ("keep" if job.keep else "nokeep fetchall") + (" ssl no sslcertck" if job.tls else ' sslproto ""')
    way = f'smtphost "127.0.0.1/{job.smtp_port}"' if not job.discard else 'mda "cat >/dev/null"'
    text = f"poll 127.0.0.1 service {job.pop_port} protocol pop3 {'uidl' if job.keep else ''} auth password\n"
    text += "".join(f'  user "u{n}" password "x" is "{SINK}" here {way} fetchsizelimit 0 {options}\n'
                    for n in range(job.accounts))
    return ["fetchmail", "-s", "-f", write(job.room / "rc", text), "-i", job.room / "ids", "--pidfile", job.room / "pid"]


def mpop(job):
    tls = "tls on\ntls_starttls off\ntls_certcheck off" if job.tls else "tls off"
    text = f'''defaults
host 127.0.0.1
port {job.pop_port}
{tls}
auth plain
password x
keep {"on" if job.keep else "off"}
only_new on
uidls_file {job.room}/uidls-%U
delivery {f"mda {msmtp(job)} --from=%F -- {SINK}" if not job.discard else f"maildir {maildir(job)}"}
'''
    text += "".join(f"account u{n}\nuser u{n}\n" for n in range(job.accounts))
    return ["mpop", "-q", "-C", write(job.room / "rc", text), "-a"]


def getmail(job):
    command = ["getmail", "-q", "--getmaildir", job.room]
    path, *options = msmtp(job).split()
    words = ", ".join(f'"{word}"' for word in options + ["--from=sender@bench.example", "--", SINK])
    way = f"type = MDA_external\npath = {path}\narguments = ({words})\nallow_root_commands = true" if not job.discard else \
        f"type = Maildir\npath = {maildir(job)}/"
    for n in range(job.accounts):
        text = f'''[retriever]
type = SimplePOP3{"SSL" if job.tls else ""}Retriever
server = 127.0.0.1
port = {job.pop_port}
username = u{n}
password = x
[destination]
{way}
[options]
read_all = false
delete = {"false" if job.keep else "true"}
delivered_to = false
received = false
verbose = 0
'''
        command += ["--rcfile", write(job.room / f"rc{n}", text)]
    return command


def fdm(job):
    text = 'set lock-file "%s/lock"\nset default-user "root"\n' % job.room if os.geteuid() == 0 else ""
    way = f'smtp server "127.0.0.1" port {job.smtp_port} to "{SINK}"' if not job.discard else "drop"
    text += f'action "sink" {way}\n'
    for n in range(job.accounts):
        text += f'account "u{n}" pop3{"s" if job.tls else ""} server "127.0.0.1" port {job.pop_port} user "u{n}" pass "x"' \
                + (f' new-only cache "{job.room}/cache{n}"' if job.keep else "") \
                + (" no-verify" if job.tls else "") + (" keep" if job.keep else "") + "\n"
    text += 'match all action "sink"\n'
    return ["fdm", "-q", "-f", write(job.room / "rc", text), "fetch"]


PROGRAMS = {"popferry": popferry, "fetchmail": fetchmail, "mpop": mpop, "getmail": getmail, "fdm": fdm}
NEEDS = {"mpop": ["msmtp"], "getmail": ["msmtp"]}


def missing(name):
    """What has to be installed before this program can run; None: nothing."""
    program = os.environ.get("POPFERRY", str(Path(__file__).resolve().parents[2] / "popferry")) if name == "popferry" else name
    return next((p for p in [program, *NEEDS.get(name, [])] if shutil.which(p) is None), None)
