"""The way to the servers: proxies, IPv6, unix sockets, and peers that accept a connection and nothing more."""
import os
import socket
import threading
import unittest

from kit.case import Case, cases
from kit.certs import Certs
from kit.messages import letters
from kit.popferry import PROTOCOL, RETRY
from kit.ports import has_ipv6
from kit.proxy import Proxy


class Proxies(Case):
    def proxy(self, kind):
        proxy = Proxy(kind).start()
        self.addCleanup(proxy.stop)
        return proxy

    @cases({"SOCKS5 in clear": ("socks5", "socks5h", "none"), "SOCKS5 and TLS": ("socks5", "socks5h", "implicit"),
            "HTTP and STLS": ("http", "http", "starttls"), "HTTP and TLS": ("http", "http", "implicit")})
    def test_a_mailbox_is_reached_through_a_proxy(self, kind, scheme, tls):
        proxy, pop3, smtp = self.proxy(kind), self.pop3(letters(3), tls=tls), self.smtp()
        self.fetchrc(pop3, smtp, host="localhost", proxy=f"{scheme}://127.0.0.1:{proxy.port}")
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, letters(3))
        self.assertEqual(proxy.asked, [("localhost", pop3.port)])

    def test_a_destination_is_reached_through_a_proxy(self):
        proxy, pop3, smtp = self.proxy("socks5"), self.pop3(letters(3)), self.smtp()
        self.fetchrc(pop3, smtp, to={"host": "localhost", "proxy": f"socks5h://127.0.0.1:{proxy.port}", "connections": 1})
        self.ferry()
        self.assert_arrived(smtp, letters(3))
        self.assertEqual(proxy.asked, [("localhost", smtp.port)])

    def test_a_proxy_that_is_down_is_a_passing_fault(self):
        proxy, pop3, smtp = self.proxy("socks5"), self.pop3(letters(1)), self.smtp()
        proxy.stop()
        self.fetchrc(pop3, smtp, proxy=f"socks5h://127.0.0.1:{proxy.port}")
        self.assert_names(self.ferry(status=RETRY), "thomas")
        self.assertEqual(pop3.sessions, [])

    def test_the_environment_diverts_nothing(self):
        proxy, pop3, smtp = self.proxy("http"), self.pop3(letters(2)), self.smtp()
        self.fetchrc(pop3, smtp)
        address = f"http://127.0.0.1:{proxy.port}"
        names = ("ALL_PROXY", "all_proxy", "http_proxy", "https_proxy", "HTTPS_PROXY", "pop3_proxy", "smtp_proxy")
        self.ferry(env=dict.fromkeys(names, address))
        self.assert_arrived(smtp, letters(2))
        self.assertEqual(proxy.asked, [])


class Sockets(Case):
    @unittest.skipUnless(has_ipv6(), "no IPv6 loopback")
    @cases({tls: tls for tls in ("none", "implicit")})
    def test_both_shores_over_ipv6(self, tls):
        pop3, smtp = self.pop3(letters(2), host="::1", tls=tls), self.smtp(host="::1")
        self.fetchrc(pop3, smtp, host="::1")
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, letters(2))

    def test_lmtp_over_a_unix_socket(self):
        pop3, smtp = self.pop3(letters(4)), self.smtp(lmtp=True, path=os.path.join(self.directory, "lmtp"))
        self.fetchrc(pop3, smtp)
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, letters(4))

    def test_a_unix_socket_that_is_not_there_is_a_passing_fault(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp(lmtp=True, path=os.path.join(self.directory, "lmtp"))
        self.fetchrc(pop3, smtp)
        smtp.stop()
        self.assert_names(self.ferry(status=RETRY), "thomas", "lmtp")
        self.assertEqual(pop3.left("thomas"), letters(1))


class Mute(Case):
    """A peer that accepts the connection, or not even that, and says nothing: the run ends within its timeouts."""

    def mute(self, accept=True):
        listener = socket.create_server(("127.0.0.1", 0), backlog=0 if not accept else 5)
        self.addCleanup(listener.close)
        if not accept:      # fill the backlog, so that no connection is ever established
            for _ in range(3):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
                self.addCleanup(filler.close)
        else:
            held = []
            threading.Thread(target=lambda: hold(listener, held), daemon=True).start()
        return listener.getsockname()[1]

    @cases({f"{what} {tls}": (accept, tls) for what, accept in (("accepting", True), ("not accepting", False))
            for tls in ("none", "starttls", "implicit")})
    def test_a_mailbox_behind_it(self, accept, tls):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        self.fetchrc(pop3, smtp, top={"timeout": 2}, host="localhost", port=self.mute(accept), tls=tls,
                     tls_ca_file=Certs.shared().ca if tls != "none" else None)
        run = self.ferry(status=RETRY)
        self.assert_names(run, "thomas", "localhost")

    @cases({f"{what} {tls}": (accept, tls) for what, accept in (("accepting", True), ("not accepting", False))
            for tls in ("none", "starttls", "implicit")})
    def test_a_destination_behind_it(self, accept, tls):
        pop3, smtp = self.pop3(letters(3)), self.smtp()
        self.fetchrc(pop3, smtp, top={"timeout": 2}, to={"port": self.mute(accept), "tls": tls})
        run = self.ferry(status=RETRY)
        self.assert_names(run, "thomas", "127.0.0.1")
        self.assertEqual(len(pop3.left("thomas")), 3)

    def test_a_destination_that_speaks_no_tls(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        self.careful = False
        self.fetchrc(pop3, smtp, to={"tls": "implicit", "host": "localhost"})
        self.assert_names(self.ferry(status={PROTOCOL, RETRY}), "thomas", "localhost")


def hold(listener, held):
    try:
        while True:
            held.append(listener.accept())
    except OSError:
        pass
