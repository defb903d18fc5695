#include <string.h>

#include <openssl/evp.h>

#include "protocol/pop3_reply.h"
#include "protocol/wire_private.h"

/* How far the connection got, as a stage. */
static const char *stage_reached(const struct wire *wire)
{
    curl_off_t connected = 0;

    if (wire->early.len == 0) {
        (void)curl_easy_getinfo(wire->easy, CURLINFO_CONNECT_TIME_T, &connected);
        if (connected == 0)
            return "connect";
        return wire->tls == TLS_IMPLICIT && !wire->check.accepted ? "TLS" : "greeting";
    }
    if (wire->tls == TLS_STARTTLS && !wire->check.accepted)
        return "TLS";
    if (wire->wants_login)
        return "login";
    return wire->service == WIRE_POP3 ? "CAPA" : "EHLO";
}

/* XOAUTH2 tells why a token was refused in a challenge, base64 of JSON, at which libcurl gives up. */
static int token_refused(const struct wire *wire, const char *challenge, struct fault *fault)
{
    unsigned char words[WIRE_REFUSAL_MAX];
    char quoted[WIRE_REFUSAL_MAX];
    size_t len = strlen(challenge) / 4 * 4; /* the line may have been cut */
    int got = EVP_DecodeBlock(words, (const unsigned char *)challenge, (int)len);
    char *text = (char *)words;

    if (got <= 0 || words[0] != '{')
        return fault_set(fault, wire->scope, FAULT_LOGIN, "login", "%s refused the login with a challenge",
                         wire->host);
    len = wire_mask(wire, text, strnlen(text, (size_t)got));
    return fault_set(fault, wire->scope, FAULT_LOGIN, "login", "%s refused the login: %s", wire->host,
                     fault_quote(quoted, sizeof(quoted), text, len));
}

/* The server said no, in the line early_last. login: to the login, else to the session as a whole. */
static int refused(const struct wire *wire, bool login, struct fault *fault)
{
    const char *line = wire->early_last;
    const char *stage = login ? "login" : "greeting";
    enum fault_class class = FAULT_PROTOCOL;

    if (login && (strncmp(line, "+ ", 2) == 0 || strncmp(line, "334 ", 4) == 0))
        return token_refused(wire, strchr(line, ' ') + 1, fault);
    if (wire->service == WIRE_POP3)
        class = pop3_refusal_class(line, strlen(line), login);
    else if (line[0] == '4')
        class = FAULT_RETRY;
    else if (line[0] == '5')
        class = login ? FAULT_LOGIN : FAULT_REFUSED;
    if (login && class == FAULT_PROTOCOL && line[0] != '-')
        return fault_set(fault, wire->scope, FAULT_LOGIN, stage,
                         "%s does not offer the login mechanism asked for", wire->host);
    return fault_set(fault, wire->scope, class, stage, "%s refused the %s: %s", wire->host,
                     login ? "login" : "connection", line);
}

static int no_starttls(const struct wire *wire, struct fault *fault)
{
    const char *line = wire->early_last;
    const char *command = wire->service == WIRE_POP3 ? "STLS" : "STARTTLS";

    if (line[0] == '-' || line[0] == '4' || line[0] == '5')
        return fault_set(fault, wire->scope, line[0] == '4' ? FAULT_RETRY : FAULT_PROTOCOL, "TLS",
                         "%s refused %s: %s", wire->host, command, line);
    return fault_set(fault, wire->scope, FAULT_PROTOCOL, "TLS", "%s does not offer %s", wire->host, command);
}

static int tls_failed(const struct wire *wire, const char *detail, struct fault *fault)
{
    bool passing = strstr(detail, "SYSCALL") != NULL || strstr(detail, "reset") != NULL ||
                   strstr(detail, "unexpected eof") != NULL;
    char quoted[256];

    return fault_set(fault, wire->scope, passing ? FAULT_RETRY : FAULT_PROTOCOL, "TLS",
                     "TLS with %s failed: %s", wire->host,
                     fault_quote(quoted, sizeof(quoted), detail, strlen(detail)));
}

/* A line, or all lines before the dialogue, without end: libcurl 8.6 has a code for it, 7.88 only words. */
#define CODE_TOO_LARGE 100 /* CURLE_TOO_LARGE */

static int broke(const struct wire *wire, CURLcode code, const char *detail, struct fault *fault)
{
    const char *stage = stage_reached(wire);
    long number = 0;

    if (strstr(detail, "alert") != NULL)
        return tls_failed(wire, detail, fault);
    if ((int)code == CODE_TOO_LARGE || strstr(detail, "Too large response headers") != NULL)
        return fault_set(fault, wire->scope, FAULT_PROTOCOL, stage, "%s talks without end", wire->host);
    (void)curl_easy_getinfo(wire->easy, CURLINFO_OS_ERRNO, &number);
    if (number != 0)
        detail = strerror((int)number);
    if (strcmp(stage, "connect") == 0 && wire->host[0] == '/')
        return fault_set(fault, wire->scope, FAULT_RETRY, stage, "cannot connect to %s: %s", wire->host,
                         detail);
    if (strcmp(stage, "connect") == 0)
        return fault_set(fault, wire->scope, FAULT_RETRY, stage, "cannot connect to %s port %u: %s",
                         wire->host, wire->port, detail);
    return fault_set(fault, wire->scope, FAULT_RETRY, stage, "%s closed the connection (%s)", wire->host,
                     stage);
}

/* What on_line() gave up on, or a server that libcurl does not understand. */
static int not_understood(const struct wire *wire, struct fault *fault)
{
    const char *line = wire->early_last;

    if (wire->early_fault != NULL && wire->greeted)
        return fault_set(fault, wire->scope, FAULT_PROTOCOL, stage_reached(wire), "%s %s", wire->host,
                         wire->early_fault);
    if (wire->early_fault != NULL)
        return fault_set(fault, wire->scope, FAULT_PROTOCOL, "greeting", "%s port %u does not speak %s: %s",
                         wire->host, wire->port, wire->service == WIRE_POP3 ? "POP3" : "SMTP", line);
    if (wire->tls == TLS_STARTTLS && (line[0] == '+' || line[0] == '2'))
        return fault_set(fault, wire->scope, FAULT_PROTOCOL, "TLS",
                         "%s sent octets in clear behind its answer to the command that starts TLS",
                         wire->host);
    return refused(wire, false, fault);
}

static int config_fault(const struct wire *wire, const char *detail, struct fault *fault)
{
    char quoted[256];

    return fault_set(fault, wire->scope, FAULT_CONFIG, "connect", "%s: %s", wire->host,
                     fault_quote(quoted, sizeof(quoted), detail, strlen(detail)));
}

int wire_connect_fault(const struct wire *wire, CURLcode code, const char *detail, struct fault *fault)
{
    switch (code) {
    case CURLE_ABORTED_BY_CALLBACK:
        return fault_set(fault, wire->scope, FAULT_RETRY, stage_reached(wire), "stopped by a signal");
    case CURLE_COULDNT_RESOLVE_HOST:
        return fault_set(fault, wire->scope, FAULT_RETRY, "connect", "no address found for %s", wire->host);
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        return fault_set(fault, wire->scope, FAULT_RETRY, "connect", "no way to %s through the proxy: %s",
                         wire->host, detail);
    case CURLE_OPERATION_TIMEDOUT:
        return fault_set(fault, wire->scope, FAULT_RETRY, stage_reached(wire),
                         "%s did not answer within %u s (%s)", wire->host, wire->timeout,
                         stage_reached(wire));
    case CURLE_PEER_FAILED_VERIFICATION:
        return wire_tls_fault(wire, fault);
    case CURLE_SSL_CONNECT_ERROR:
        return tls_failed(wire, detail, fault);
    case CURLE_USE_SSL_FAILED:
        return no_starttls(wire, fault);
    case CURLE_LOGIN_DENIED:
        return refused(wire, true, fault);
    case CURLE_WRITE_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_REMOTE_ACCESS_DENIED:
        return not_understood(wire, fault);
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_URL_MALFORMAT:
        return config_fault(wire, detail, fault);
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
    case CURLE_UNKNOWN_OPTION:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_NOT_BUILT_IN:
        return fault_set(fault, wire->scope, FAULT_INTERNAL, "connect", "libcurl: %s",
                         curl_easy_strerror(code));
    default:
        return broke(wire, code, detail, fault);
    }
}
