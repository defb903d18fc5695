"""Servers from Debian packages that must not be installed here (they conflict with each other): unpacked into a cache directory
and laid over this machine's root in a mount namespace of its own, where one server at a time runs as if it were installed.

    root = PackageRoot(directory, ["popa3d"], users=["thomas"])
    root.write("/etc/foo.conf", text)
    root.start(["/usr/sbin/food", "--foreground"], port)
    root.stop()

Nothing is written outside `directory` and the cache ($XDG_CACHE_HOME/popferry-peers). Needs root, apt-get and overlayfs."""
import glob
import os
import shutil
import signal
import socket
import subprocess
import time

from kit.dovecot import wait_for_port
from kit.popferry import die_with_parent

PASSWORD = "correct horse"
FIRST_UID = 5001
MERGED = ("bin", "sbin", "lib")     # links into /usr on the machine below

ENTER = """
set -e
mount -t tmpfs -o mode=755 tmpfs "$ROOM"
mkdir "$ROOM/upper" "$ROOM/work" "$ROOM/root"
cp -a "$PACKAGES" "$ROOM/packages"
cp -a "$STAGE/." "$ROOM/upper"
mount -t overlay overlay -o "lowerdir=$ROOM/packages:/,upperdir=$ROOM/upper,workdir=$ROOM/work" "$ROOM/root"
mount -t proc proc "$ROOM/root/proc"
mount --rbind /dev "$ROOM/root/dev"
mount -t tmpfs -o mode=755 tmpfs "$ROOM/root/run"
mount -t tmpfs -o mode=1777 tmpfs "$ROOM/root/tmp"
mkdir -p "$ROOM/root$OWN"
mount --bind "$OWN" "$ROOM/root$OWN"
chroot "$ROOM/root" /bin/sh -c "$COMMAND"
exit $?
"""


class Unavailable(Exception):
    """The packages cannot be had or used here."""


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME") or "/root", ".cache")
    return os.path.join(base, "popferry-peers")


def installed(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package], capture_output=True, text=True)
    return done.stdout == "installed"


def unpack(name, packages, libraries):
    """The packages, and those of the libraries that this machine lacks, unpacked into one directory below the cache."""
    if os.geteuid() != 0 or not shutil.which("apt-get") or not shutil.which("unshare"):
        raise Unavailable("needs root, apt-get and unshare")
    target = os.path.join(cache(), name)
    wanted = list(packages) + [library for library in libraries if not installed(library)]
    stamp = os.path.join(target, ".complete")
    if os.path.exists(stamp) and open(stamp).read().split() == wanted:
        return target
    fresh = f"{target}.{os.getpid()}"
    os.makedirs(fresh)
    try:
        done = subprocess.run(["apt-get", "download", "-q", *wanted], cwd=fresh, capture_output=True, text=True, timeout=90)
        if done.returncode != 0:
            raise Unavailable(f"cannot download {name}: {done.stderr.strip().splitlines()[-1:]}")
        for package in glob.glob(fresh + "/*.deb"):
            subprocess.run(["dpkg", "-x", package, fresh + "/x"], check=True)
        for part in MERGED:
            if os.path.isdir(f"{fresh}/x/{part}"):
                shutil.copytree(f"{fresh}/x/{part}", f"{fresh}/x/usr/{part}", symlinks=True, dirs_exist_ok=True)
                shutil.rmtree(f"{fresh}/x/{part}")
        with open(fresh + "/x/.complete", "w") as file:
            file.write(" ".join(wanted))
        shutil.rmtree(target, True)
        os.rename(fresh + "/x", target)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"cannot unpack {name}: {error}") from error
    finally:
        shutil.rmtree(fresh, True)
    return target


def answers(host, port):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


class PackageRoot:
    def __init__(self, directory, name, packages, libraries=(), users=(), system_users=()):
        self.directory = os.path.abspath(directory)
        self.packages = unpack(name, packages, libraries)
        self.stage = os.path.join(self.directory, "stage")
        self.own = os.path.join(self.directory, "own")      # seen inside at the same path
        self.process = None
        for path in (self.stage, self.own, os.path.join(self.directory, "room")):
            os.makedirs(path, exist_ok=True)
        os.chmod(self.directory, 0o711)
        os.chmod(self.own, 0o755)
        self.add_users(users, system_users)

    def add_users(self, users, system_users):
        """users can log in with PASSWORD and have a home below `own`; system users are what the daemons drop to."""
        password = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True).stdout.strip()
        lines = {name: open("/etc/" + name).read() for name in ("passwd", "group", "shadow")}
        self.uids = {}
        for i, name in enumerate([*users, *system_users]):
            uid = self.uids[name] = FIRST_UID + i
            home = os.path.join(self.own, "home", name) if name in users else "/nonexistent"
            lines["passwd"] += f"{name}:x:{uid}:{uid}::{home}:/bin/sh\n"
            lines["group"] += f"{name}:x:{uid}:\n"
            lines["shadow"] += f"{name}:{password if name in users else '*'}:19000:0:99999:7:::\n"
            if name in users:
                os.makedirs(home)
                os.chown(home, uid, uid)
        for name, text in lines.items():
            self.write("/etc/" + name, text, 0o600 if name == "shadow" else 0o644)

    def write(self, path, text, mode=0o644):
        """A file inside."""
        path = self.stage + path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)

    def start(self, command, port, host="127.0.0.1"):
        """Run the shell command inside; everything that it starts ends with stop()."""
        self.host, self.port = host, port
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "ROOM": self.directory + "/room", "PACKAGES": self.packages,
                       "STAGE": self.stage, "OWN": self.own, "COMMAND": command}
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-c", ENTER],
            env=environment, stdin=subprocess.DEVNULL, stdout=open(self.directory + "/out", "ab"), stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent)
        try:
            wait_for_port(host, port, self.process)
            time.sleep(0.2)
            if self.process.poll() is not None:     # it was another server that answered
                raise RuntimeError(f"the server ended with {self.process.returncode}")
        except RuntimeError as error:
            self.stop()
            if "mount" in self.output() or "unshare" in self.output():
                raise Unavailable(f"no mount namespace here: {self.output()[-300:]}") from error
            raise RuntimeError(f"{error}\n{self.output()[-3000:]}") from error

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)    # the namespace's first process, a shell, goes with it, and so do all others
            self.process.wait()
            end = time.monotonic() + 5
            while answers(self.host, self.port) and time.monotonic() < end:
                time.sleep(0.01)

    def output(self):
        text = ""
        for path in [self.directory + "/out", *sorted(glob.glob(self.own + "/logs/*"))]:
            if os.path.isfile(path):
                with open(path, errors="replace") as file:
                    text += file.read()
        return text
