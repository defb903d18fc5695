"""A scripted authorization server (RFC 6749, 7636, 8628, 7662), and a POP3 server that takes its tokens.

    oauth = OAuthServer()                       client "popferry", no secret
    oauth.refresh["rt-1"] = "thomas"            a refresh token that it knows
    oauth.rotation = "strict"                   a new refresh token at each use: the old one is worthless at once;
                                                "grace": it works until the new one has been used; None: no rotation
    oauth.lifetime = 3600                       seconds that access tokens last
    oauth.pending = ["authorization_pending", "slow_down"]      what a device login is told before it is let in
    oauth.rules = [At("token").reply(http(503, b""))]
    oauth.requests                              [(path, form), ...]

Steps: device, token, authorize, introspect."""
import base64
import hashlib
import itertools
import json
import secrets
import time
import urllib.parse

from kit.pop3 import Pop3Server, Pop3Session
from kit.script import Server, Session

GRANT_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
NUMBERS = itertools.count(1)


def http(status, body, kind="application/json", **headers):
    """An HTTP answer's octets. body: octets, or what becomes JSON."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} Scripted", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close"]
    head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def refusal(error, status=400, **more):
    return http(status, {"error": error, **more})


class OAuthSession(Session):
    def dialogue(self):
        head = []
        while line := self.line().decode():
            head.append(line)
        method, target, _ = head[0].split(" ")
        headers = {k.lower(): v for k, v in (h.split(": ", 1) for h in head[1:])}
        while len(self.buffer) < int(headers.get("content-length", 0)):
            self.fill()
        self.note("C:", bytes(self.buffer))
        url = urllib.parse.urlsplit(target)
        text = url.query if method == "GET" else self.buffer.decode()
        form = dict(urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)))
        with self.server.lock:
            self.server.requests.append((url.path, form))
            self.server.moments.append(time.monotonic())
        step = url.path.strip("/")
        self.step(step, None, lambda: self.answer(step, form, headers))

    def answer(self, step, form, headers):
        with self.server.lock:
            if step == "introspect":
                return self.server.introspect(form, headers)
            if form.get("client_id") != self.server.client_id:
                return refusal("invalid_client", 401, error_description="unknown client")
            if step == "device":
                return self.server.device(form)
            if step == "authorize":
                return self.server.authorize(form)
            if self.server.client_secret != form.get("client_secret"):
                return refusal("invalid_client", 401, error_description="wrong client secret")
            return self.server.token(form) if step == "token" else http(404, b"not here", "text/plain")


class OAuthServer(Server):
    session_class = OAuthSession

    def __init__(self, client_secret=None, **where):
        super().__init__(**where)
        self.client_id, self.client_secret = "popferry", client_secret
        self.user = "thomas"        # who logs in in the browser
        self.refresh = {}           # refresh token -> user
        self.access = {}            # access token -> (user, end)
        self.replaced = {}          # new refresh token -> the one that dies when it is used
        self.codes = {}             # authorization code -> form of the authorization request
        self.devices = set()
        self.rotation, self.lifetime = None, 3600
        self.pending, self.interval, self.device_life = [], 1, 300
        self.denied = False
        self.extra = {}             # members added to every token answer
        self.requests = []
        self.moments = []           # when each came, in seconds
        self.issued = []            # every secret that was given out

    def url(self, path):
        return f"{'https' if self.tls != 'none' else 'http'}://{'localhost' if self.tls != 'none' else self.host}:{self.port}/{path}"

    def count(self, path):
        return sum(p == "/" + path for p, _ in self.requests)

    def times(self, path):
        return [moment for moment, (p, _) in zip(self.moments, self.requests) if p == "/" + path]

    def new(self, kind):
        token = f"{kind}-{next(NUMBERS)}-{secrets.token_hex(16)}"
        self.issued.append(token)
        return token

    def grant(self, user, refresh_token=None):
        access = self.new("at")
        self.access[access] = (user, time.time() + self.lifetime)
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": self.lifetime}
        if refresh_token:
            answer["refresh_token"] = refresh_token
        return http(200, {**answer, **self.extra})

    def new_refresh(self, user="thomas"):
        token = self.new("rt")
        self.refresh[token] = user
        return token

    def token(self, form):
        kind = form.get("grant_type")
        if kind == "refresh_token":
            return self.refreshed(form.get("refresh_token"))
        if kind == GRANT_DEVICE:
            if form.get("device_code") not in self.devices:
                return refusal("invalid_grant")
            if self.pending:
                return refusal(self.pending.pop(0))
            self.devices.discard(form["device_code"])
            return self.grant(self.user, self.new_refresh(self.user))
        if kind == "authorization_code":
            return self.traded(form)
        return refusal("unsupported_grant_type")

    def refreshed(self, token):
        user = self.refresh.get(token)
        if user is None:
            return refusal("invalid_grant", error_description="Token has been expired or revoked.")
        old = self.replaced.pop(token, None)
        self.refresh.pop(old, None)
        if self.rotation is None:
            return self.grant(user)
        new = self.new_refresh(user)
        if self.rotation == "strict":
            del self.refresh[token]
        else:
            self.replaced[new] = token
        return self.grant(user, new)

    def device(self, form):
        code = self.new("dc")
        self.devices.add(code)
        return http(200, {"device_code": code, "user_code": "WDJB-MJHT", "verification_uri": self.url("enter"),
                          "verification_uri_complete": self.url("enter?user_code=WDJB-MJHT"),
                          "expires_in": self.device_life, "interval": self.interval})

    def authorize(self, form):
        answer = {"state": form["state"]}
        if self.denied:
            answer["error"] = "access_denied"
        else:
            answer["code"] = self.new("code/+")
            self.codes[answer["code"]] = form
        return http(302, b"", Location=form["redirect_uri"] + "?" + urllib.parse.urlencode(answer))

    def traded(self, form):
        asked = self.codes.pop(form.get("code"), None)
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri"):
            return refusal("invalid_grant")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked.get("code_challenge_method") != "S256" or asked.get("code_challenge") != challenge:
            return refusal("invalid_grant", error_description="PKCE")
        return self.grant(self.user, self.new_refresh(self.user))

    def valid(self, token, user=None):
        owner, end = self.access.get(token, (None, 0))
        return owner is not None and end > time.time() and user in (None, owner)

    def introspect(self, form, headers):
        token = headers.get("authorization", "").removeprefix("Bearer ") or form.get("token") or form.get("access_token")
        if not self.valid(token):
            return http(200, {"active": False})
        return http(200, {"active": True, "username": self.access[token][0], "scope": "pop3"})


class TokenSession(Pop3Session):
    def check(self, user, password):
        self.server.offered.append(password)
        good = self.server.oauth.valid(password, user)
        if not good and self.server.challenge:      # as Google, Microsoft and Dovecot do; the client's answer says nothing
            self.ask(self.server.challenge)
        return self.admit(user, good)


class TokenPop3Server(Pop3Server):
    """Takes the access tokens of `oauth`, and nothing else."""
    session_class = TokenSession

    def __init__(self, oauth, mailboxes, mechanisms="XOAUTH2 OAUTHBEARER", **how):
        how.setdefault("caps", ("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "SASL " + mechanisms))
        super().__init__({user: (secrets.token_hex(8), messages) for user, messages in mailboxes.items()}, **how)
        self.oauth, self.offered = oauth, []
        self.challenge = '{"status":"401","schemes":"bearer"}'      # sent before the refusal; None: none
