"""Certificates for the tests, made once a run with the openssl program.

    certs = Certs.shared()
    certs.good, certs.expired, certs.wrong_host, certs.self_signed: each with .chain, .key (PEM files), .sha256
    certs.ca, certs.client"""
import atexit
import fcntl
import hashlib
import os
import shutil
import ssl
import subprocess
import tempfile

LOCALHOST = "DNS:localhost,IP:127.0.0.1,IP:::1"


class Cert:
    def __init__(self, directory, name):
        self.chain = os.path.join(directory, name + ".pem")
        self.key = os.path.join(directory, name + ".key")

    @property
    def sha256(self):
        """The certificate's SHA-256 as lower-case hex."""
        with open(self.chain) as file:
            first = file.read().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first[first.index("-----BEGIN"):])).hexdigest()


class Certs:
    _shared = None

    def __init__(self, directory):
        self.directory = directory
        self.ca = os.path.join(directory, "ca.pem")
        self.ca_key = os.path.join(directory, "ca.key")
        for name in ("good", "expired", "wrong_host", "self_signed", "client"):
            setattr(self, name, Cert(directory, name))

    @classmethod
    def shared(cls):
        if cls._shared is None:
            directory = os.environ.get("POPFERRY_TEST_CACHE")
            if not directory:
                directory = tempfile.mkdtemp(prefix="popferry-certs-")
                atexit.register(shutil.rmtree, directory, True)
            with open(os.path.join(directory, "lock"), "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                cls._shared = cls(directory)
                if not os.path.exists(os.path.join(directory, "done")):
                    cls._shared.make()
                    open(os.path.join(directory, "done"), "w").close()
        return cls._shared

    def openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.directory, check=True, capture_output=True)

    def make(self):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                     "-subj", "/CN=popferry test CA", "-keyout", self.ca_key, "-out", self.ca)
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                     "-subj", "/CN=localhost", "-addext", "subjectAltName=" + LOCALHOST,
                     "-keyout", self.self_signed.key, "-out", self.self_signed.chain)
        self.issue("good", LOCALHOST)
        self.issue("client", "DNS:client.test")
        self.issue("wrong_host", "DNS:mail.elsewhere.test")
        self.issue("expired", LOCALHOST, ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"])

    def issue(self, name, names, dates=("-days", "30")):
        cert = getattr(self, name)
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
                     "-keyout", cert.key, "-out", name + ".csr")
        config = os.path.join(self.directory, name + ".cnf")
        with open(config, "w") as file:
            file.write(f"[ca]\ndefault_ca=own\n[own]\ndatabase={name}.db\nnew_certs_dir=.\npolicy=any\ndefault_md=sha256\n"
                       f"rand_serial=yes\nx509_extensions=ext\n[any]\ncommonName=supplied\n[ext]\nsubjectAltName={names}\n")
        open(os.path.join(self.directory, name + ".db"), "w").close()
        self.openssl("ca", "-batch", "-config", config, "-cert", self.ca, "-keyfile", self.ca_key, *dates,
                     "-in", name + ".csr", "-out", cert.chain, "-notext")
