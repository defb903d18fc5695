#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stop.h"
#include "protocol/wire_private.h"
#include "report/log.h"

int wire_global_init(struct fault *fault)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);

    if (code != CURLE_OK)
        return fault_set(fault, FAULT_OF_RUN, FAULT_INTERNAL, "connect", "libcurl: %s",
                         curl_easy_strerror(code));
    return 0;
}

void wire_global_cleanup(void)
{
    curl_global_cleanup();
}

/* ---- what libcurl shows of the dialogue while it leads it ---- */

static size_t without_line_end(const char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\n')
        len--;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    return len;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* libcurl reads on until it sees what it knows; what begins otherwise is another service. */
static bool is_greeting(const struct wire *wire, const char *line, size_t len)
{
    if (wire->service == WIRE_POP3)
        return len >= 3 && (memcmp(line, "+OK", 3) == 0 || (len >= 4 && memcmp(line, "-ERR", 4) == 0));
    return len >= 3 && is_digit(line[0]) && is_digit(line[1]) && is_digit(line[2]);
}

/* Keep a line, without what it repeats of the login. Returns what is left of `shown`, its length without line
 * end; -1: there is no room. */
static long keep_line(struct wire *wire, const char *data, size_t len, size_t shown)
{
    struct buf *early = &wire->early;
    size_t start = early->len;

    if (buf_append(early, data, len) < 0)
        return -1;
    if (!wire->authenticating)
        return (long)shown;
    early->len = start + wire_mask(wire, early->data + start, shown);
    (void)buf_append(early, data + shown, len - shown); /* there is room: it was there before */
    return (long)(early->len - start - (len - shown));
}

static size_t on_line(char *data, size_t size, size_t count, void *context)
{
    struct wire *wire = context;
    size_t len = size * count;
    size_t shown = without_line_end(data, len);
    size_t start = wire->early.len;
    long kept;

    if (wire->early_fault != NULL)
        return 0;
    if (!wire->greeted && !is_greeting(wire, data, shown)) {
        if (wire->tells)
            log_dialogue(wire->tag, '<', data, shown);
        (void)fault_quote(wire->early_last, sizeof(wire->early_last), data, shown);
        wire->early_fault = "is no such server";
        return 0;
    }
    kept = keep_line(wire, data, len, shown);
    if (kept < 0) {
        wire->early_fault = "talks without end";
        return 0;
    }
    if (wire->tells)
        log_dialogue(wire->tag, '<', wire->early.data + start, (size_t)kept);
    if (!wire->greeted) {
        wire->greeting_len = wire->early.len;
        wire->greeted = wire->service == WIRE_POP3 || shown < 4 || data[3] != '-';
    }
    return len;
}

static bool begins(const char *line, size_t len, const char *with)
{
    return len >= strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

/* A command of the login: its secret is kept, to be known again in what the server says to it. */
static void on_login_command(struct wire *wire, const char *data, size_t len)
{
    const char *secret = data;
    char line[64] = "***";

    if (begins(data, len, "AUTH ")) {
        const char *end = memchr(data + 5, ' ', len - 5);
        (void)snprintf(line, sizeof(line), "AUTH %.*s%s",
                       (int)(end == NULL ? len - 5 : (size_t)(end - data) - 5), data + 5,
                       end == NULL ? "" : " ***");
        secret = end == NULL ? data + len : end + 1;
    }
    if (wire->tells)
        log_dialogue(wire->tag, '>', line, strlen(line));
    wire->authenticating = true;
    if (wire_hide(wire, secret, len - (size_t)(secret - data)) < 0)
        wire->early_fault = "needs more memory than there is";
}

/* Of what libcurl sends only commands known to be harmless are shown. */
static int on_debug(CURL *easy, curl_infotype type, char *data, size_t len, void *context)
{
    static const char *const harmless[] = {"CAPA", "STLS", "EHLO ", "HELO ", "STARTTLS"};
    struct wire *wire = context;
    size_t shown = without_line_end(data, len);
    size_t i;

    (void)easy;
    if (type != CURLINFO_HEADER_OUT)
        return 0;
    for (i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
        if (!wire->authenticating && begins(data, shown, harmless[i])) {
            if (wire->tells)
                log_dialogue(wire->tag, '>', data, shown);
            return 0;
        }
    }
    if (!begins(data, shown, "CONNECT ")) /* the way through a proxy is no login */
        on_login_command(wire, data, shown);
    else if (wire->tells)
        log_dialogue(wire->tag, '>', "***", 3);
    return 0;
}

static int on_progress(void *context, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal,
                       curl_off_t ulnow)
{
    (void)context, (void)dltotal, (void)dlnow, (void)ultotal, (void)ulnow;
    return stop_requested() ? 1 : 0;
}

/* ---- setting up ---- */

static const char *scheme(const struct wire_params *params)
{
    /* To libcurl an http URL with CONNECT_ONLY is a plain stream of octets: it says nothing before we do. */
    if (params->service == WIRE_LMTP)
        return "http";
    if (params->service == WIRE_POP3)
        return params->tls == TLS_IMPLICIT ? "pop3s" : "pop3";
    return params->tls == TLS_IMPLICIT ? "smtps" : "smtp";
}

static CURLUcode fill_url(CURLU *url, const struct wire_params *params)
{
    const char *host = params->socket != NULL ? "localhost" : params->host;
    char text[300];
    CURLUcode code = curl_url_set(url, CURLUPART_SCHEME, scheme(params), 0);

    if (code == CURLUE_OK) {
        bool literal = strchr(host, ':') != NULL && host[0] != '[';
        int len = snprintf(text, sizeof(text), literal ? "[%s]" : "%s", host);
        code = len > 0 && (size_t)len < sizeof(text) ? curl_url_set(url, CURLUPART_HOST, text, 0)
                                                     : CURLUE_BAD_HOSTNAME;
    }
    if (code == CURLUE_OK && params->socket == NULL) {
        (void)snprintf(text, sizeof(text), "%u", params->port);
        code = curl_url_set(url, CURLUPART_PORT, text, 0);
    }
    if (code == CURLUE_OK && params->service == WIRE_SMTP && params->helo != NULL) {
        /* libcurl takes the path for the EHLO name. */
        (void)snprintf(text, sizeof(text), "/%s", params->helo);
        code = curl_url_set(url, CURLUPART_PATH, text, CURLU_URLENCODE);
    }
    return code;
}

#define SET(option, value) (code = code == CURLE_OK ? curl_easy_setopt(easy, option, value) : code)

static CURLcode set_login(CURL *easy, const struct wire_params *params)
{
    CURLcode code = CURLE_OK;

    if (params->login_options == NULL)
        return CURLE_OK;
    SET(CURLOPT_LOGIN_OPTIONS, params->login_options);
    SET(CURLOPT_SASL_IR, 1L);
    SET(CURLOPT_USERNAME, params->username);
    if (params->password != NULL)
        SET(CURLOPT_PASSWORD, params->password);
    if (params->bearer != NULL)
        SET(CURLOPT_XOAUTH2_BEARER, params->bearer);
    return code;
}

static CURLcode set_options(struct wire *wire, CURL *easy, CURLU *url, const struct wire_params *params)
{
    CURLcode code = CURLE_OK;

    SET(CURLOPT_CURLU, url);
    SET(CURLOPT_PROTOCOLS_STR, scheme(params));
    SET(CURLOPT_CONNECT_ONLY, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_BUFFERSIZE, 64L * 1024); /* also the most that one curl_easy_recv() gives */
    /* A name server that does not answer must not hold the end of the run. */
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)params->timeout * 1000);
    SET(CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)params->timeout);
    /* Set in any case: otherwise the environment decides. */
    SET(CURLOPT_PROXY, params->proxy == NULL ? "" : params->proxy);
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_HTTPPROXYTUNNEL, params->proxy == NULL ? 0L : 1L);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (params->socket != NULL)
        SET(CURLOPT_UNIX_SOCKET_PATH, params->socket);
    SET(CURLOPT_HEADERFUNCTION, on_line);
    SET(CURLOPT_HEADERDATA, wire);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_NOPROGRESS, 0L);
    if (wire->tells || wire->wants_login) {
        SET(CURLOPT_DEBUGFUNCTION, on_debug);
        SET(CURLOPT_DEBUGDATA, wire);
        SET(CURLOPT_VERBOSE, 1L);
    }
    if (code == CURLE_OK)
        code = wire_tls_setup(wire, easy, params);
    return code == CURLE_OK ? set_login(easy, params) : code;
}

#undef SET

/* ---- opening ---- */

/* The last complete line, for refusals. */
static void keep_last_line(struct wire *wire)
{
    size_t len = wire->early.len;
    size_t start;

    if (wire->early_fault != NULL || len == 0)
        return;
    len = without_line_end(wire->early.data, len);
    for (start = len; start > 0 && wire->early.data[start - 1] != '\n'; start--)
        ;
    (void)fault_quote(wire->early_last, sizeof(wire->early_last), wire->early.data + start, len - start);
}

static int take_over(struct wire *wire, const struct wire_params *params, struct fault *fault)
{
    curl_socket_t sock = CURL_SOCKET_BAD;
    const char *address = NULL;

    if (curl_easy_getinfo(wire->easy, CURLINFO_ACTIVESOCKET, &sock) != CURLE_OK || sock == CURL_SOCKET_BAD)
        return fault_set(fault, wire->scope, FAULT_RETRY, "connect", "%s closed the connection", wire->host);
    /* libcurl must not have taken a way round the check. */
    if (wire->tls != TLS_NONE && wire->service != WIRE_LMTP && !wire->check.accepted)
        return fault_set(fault, wire->scope, FAULT_PROTOCOL, "TLS", "the certificate of %s was not checked",
                         wire->host);
    wire->socket = (int)sock;
    if (params->socket == NULL && params->proxy == NULL &&
        curl_easy_getinfo(wire->easy, CURLINFO_PRIMARY_IP, &address) == CURLE_OK && address != NULL)
        (void)snprintf(wire->address, sizeof(wire->address), "%s", address);
    wire->received = wire->early.len;
    wire_mark(wire);
    return 0;
}

static int connect_now(struct wire *wire, const struct wire_params *params, struct fault *fault)
{
    char detail[CURL_ERROR_SIZE] = "";
    CURLU *url = curl_url();
    CURLcode code;

    if (url == NULL)
        return fault_set(fault, wire->scope, FAULT_INTERNAL, "connect", "memory is short");
    if (fill_url(url, params) != CURLUE_OK) {
        curl_url_cleanup(url);
        return fault_set(fault, wire->scope, FAULT_CONFIG, "connect", "%s is no host name", wire->host);
    }
    (void)curl_easy_setopt(wire->easy, CURLOPT_ERRORBUFFER, detail);
    code = set_options(wire, wire->easy, url, params);
    if (code == CURLE_OK)
        code = curl_easy_perform(wire->easy);
    keep_last_line(wire);
    wire_login_ended(wire);
    (void)curl_easy_setopt(wire->easy, CURLOPT_VERBOSE, 0L);
    /* libcurl needs no secret any more, and neither buffer nor URL live on. */
    (void)curl_easy_setopt(wire->easy, CURLOPT_PASSWORD, NULL);
    (void)curl_easy_setopt(wire->easy, CURLOPT_XOAUTH2_BEARER, NULL);
    (void)curl_easy_setopt(wire->easy, CURLOPT_ERRORBUFFER, NULL);
    (void)curl_easy_setopt(wire->easy, CURLOPT_CURLU, NULL);
    curl_url_cleanup(url);
    if (code != CURLE_OK)
        return wire_connect_fault(wire, code, detail[0] != '\0' ? detail : curl_easy_strerror(code), fault);
    return take_over(wire, params, fault);
}

static int hide(struct wire *wire, const char *secret)
{
    return secret == NULL ? 0 : wire_hide(wire, secret, strlen(secret));
}

static struct wire *wire_new(const struct wire_params *params)
{
    struct wire *wire = calloc(1, sizeof(*wire));

    if (wire == NULL)
        return NULL;
    buf_init(&wire->early, WIRE_EARLY_MAX);
    wire->socket = -1;
    wire->easy = curl_easy_init();
    wire->tag = strdup(params->tag != NULL ? params->tag : "");
    wire->host = strdup(params->socket != NULL ? params->socket : params->host);
    wire->port = params->port;
    wire->scope = params->scope;
    wire->service = params->service;
    wire->tls = params->service == WIRE_LMTP ? TLS_NONE : params->tls;
    wire->timeout = params->timeout;
    wire->wants_login = params->login_options != NULL;
    wire->tells = log_tells(LOG_LEVEL_DEBUG);
    wire->stage = "dialogue";
    if (wire_buffers_init(wire) < 0 || wire->easy == NULL || wire->tag == NULL || wire->host == NULL ||
        hide(wire, params->password) < 0 || hide(wire, params->bearer) < 0) {
        wire_close(wire);
        return NULL;
    }
    return wire;
}

int wire_open(struct wire **out, const struct wire_params *params, struct fault *fault)
{
    struct wire *wire = wire_new(params);
    int result;

    *out = NULL;
    if (params->refusal != NULL)
        params->refusal[0] = '\0';
    if (wire == NULL)
        return fault_set(fault, params->scope, FAULT_INTERNAL, "connect", "memory is short");
    result = connect_now(wire, params, fault);
    wire->check.pin = NULL;
    if (params->certificate != NULL)
        *params->certificate = wire->check.certificate;
    if (result == 0) {
        *out = wire;
        return 0;
    }
    if (params->refusal != NULL &&
        (strchr("-45", wire->early_last[0]) != NULL || strncmp(wire->early_last, "+ ", 2) == 0))
        (void)snprintf(params->refusal, WIRE_REFUSAL_MAX, "%s", wire->early_last);
    wire_close(wire);
    return -1;
}

void wire_close(struct wire *wire)
{
    if (wire == NULL)
        return;
    curl_easy_cleanup(wire->easy);
    buf_free(&wire->early);
    buf_free(&wire->out);
    wire_forget_secrets(wire);
    free(wire->rx);
    free(wire->tag);
    free(wire->host);
    free(wire);
}

const char *wire_early_lines(const struct wire *wire)
{
    return wire->early.data != NULL ? wire->early.data : "";
}

const char *wire_last_early_line(const struct wire *wire)
{
    return wire->early_last;
}

const char *wire_peer_address(const struct wire *wire)
{
    return wire->address;
}

bool wire_encrypted(const struct wire *wire)
{
    return wire->tls != TLS_NONE;
}

int wire_socket(const struct wire *wire)
{
    return wire->socket;
}
