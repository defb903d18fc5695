/* One HTTPS request to an authorization server. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/clock.h"
#include "base/stop.h"
#include "protocol/oauth_private.h"
#include "report/log.h"

/* A request that was sent may have turned an old refresh token into a new one, which would be lost with its
 * answer: a run that is told to end waits for it this long. */
#define STOP_GRACE_MS 5000

struct exchange {
    struct buf *body;
    bool too_large;
    int64_t stopped; /* when the run was told to end; 0: it was not */
    char error[CURL_ERROR_SIZE];
};

/* Scheme and host of an address. Returns -1 if it is none. */
static int url_parts(const char *url, char *scheme, size_t scheme_size, char *host, size_t host_size)
{
    CURLU *parsed = curl_url();
    char *part = NULL;
    int result = -1;

    if (parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_SCHEME, &part, 0) == CURLUE_OK) {
        (void)snprintf(scheme, scheme_size, "%s", part);
        curl_free(part);
        part = NULL;
        if (curl_url_get(parsed, CURLUPART_HOST, &part, 0) == CURLUE_OK && part[0] != '\0') {
            (void)fault_quote(host, host_size, part, strlen(part));
            result = 0;
        }
        curl_free(part);
    }
    curl_url_cleanup(parsed);
    return result;
}

char *oauth_host(const char *url, char *dst, size_t size)
{
    char scheme[16];

    if (url_parts(url, scheme, sizeof(scheme), dst, size) < 0)
        (void)snprintf(dst, size, "the authorization server");
    return dst;
}

static bool is_loopback(const char *host)
{
    struct in_addr address;

    if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, host, &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

static int check_endpoint(const char *endpoint, struct fault *fault)
{
    char scheme[16];
    char host[256];
    char shown[256];

    if (url_parts(endpoint, scheme, sizeof(scheme), host, sizeof(host)) == 0 &&
        (strcmp(scheme, "https") == 0 || (strcmp(scheme, "http") == 0 && is_loopback(host))))
        return 0;
    return fault_set(fault, FAULT_OF_MAILBOX, FAULT_CONFIG, "oauth", "%s is no https:// address",
                     fault_quote(shown, sizeof(shown), endpoint, strlen(endpoint)));
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;

    if (buf_append(exchange->body, data, size * count) == 0)
        return size * count;
    exchange->too_large = true;
    return 0;
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    struct exchange *exchange = context;
    bool sent = up_total > 0 && up >= up_total;

    (void)down_total;
    (void)down;
    if (!stop_requested())
        return 0;
    if (exchange->stopped == 0)
        exchange->stopped = clock_ms();
    return !sent || clock_ms() - exchange->stopped > STOP_GRACE_MS;
}

static int set_options(CURL *curl, const struct oauth_params *params, const char *endpoint,
                       const struct oauth_form *form, struct curl_slist *headers, struct exchange *exchange)
{
    bool failed =
        curl_easy_setopt(curl, CURLOPT_URL, endpoint) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http") != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_PROXY, params->proxy != NULL ? params->proxy : "") != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) != CURLE_OK;

    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)params->timeout);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)params->timeout);
    (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)form->text.len);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form->text.data);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, exchange->error);
    if (params->tls_ca_file != NULL)
        failed = failed || curl_easy_setopt(curl, CURLOPT_CAINFO, params->tls_ca_file) != CURLE_OK ||
                 curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) != CURLE_OK;
    return failed ? -1 : 0;
}

static enum fault_class class_of(CURLcode code, const char *words)
{
    switch (code) {
    case CURLE_SSL_CONNECT_ERROR: /* a link that broke during the handshake, or a handshake that cannot
                                     succeed */
        return strstr(words, "SYSCALL") != NULL || strstr(words, "reset by peer") != NULL ? FAULT_RETRY
                                                                                          : FAULT_PROTOCOL;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_UNSUPPORTED_PROTOCOL: /* libcurl's word for an answer that is no HTTP */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_WRITE_ERROR:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2:
        return FAULT_PROTOCOL;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT:
        return FAULT_CONFIG;
    case CURLE_OUT_OF_MEMORY:
        return FAULT_INTERNAL;
    default:
        return FAULT_RETRY;
    }
}

static int transfer_fault(const char *endpoint, CURLcode code, const struct exchange *exchange,
                          struct fault *fault)
{
    const char *words = exchange->error[0] != '\0' ? exchange->error : curl_easy_strerror(code);
    char host[256];
    char quoted[384];

    (void)oauth_host(endpoint, host, sizeof(host));
    if (exchange->too_large)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_PROTOCOL, "oauth",
                         "%s answered with more than %d KiB", host, OAUTH_ANSWER_MAX / 1024);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_RETRY, "oauth",
                         "interrupted while asking %s for a token", host);
    return fault_set(fault, FAULT_OF_MAILBOX, class_of(code, words), "oauth",
                     "asking %s for a token failed: %s", host,
                     fault_quote(quoted, sizeof(quoted), words, strlen(words)));
}

/* Anything but an answer to the request. */
static int status_fault(CURL *curl, const char *endpoint, long status, struct fault *fault)
{
    char *target = NULL;
    char host[256];
    char other[256] = "nowhere";

    (void)oauth_host(endpoint, host, sizeof(host));
    if (status < 300 || status >= 400)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_PROTOCOL, "oauth", "%s answered with HTTP status %ld",
                         host, status);
    /* The host alone: an address could carry what was sent. */
    if (curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &target) == CURLE_OK && target != NULL)
        (void)oauth_host(target, other, sizeof(other));
    return fault_set(fault, FAULT_OF_MAILBOX, FAULT_PROTOCOL, "oauth",
                     "%s redirects to %s (HTTP status %ld); tokens are not sent after a redirect", host,
                     other, status);
}

/* The endpoint without its query, and the status: all of the exchange that -vv shows. */
static void tell(const struct oauth_params *params, const char *endpoint, long status)
{
    char line[512];
    int len;

    len = snprintf(line, sizeof(line), "POST %.*s", (int)strcspn(endpoint, "?#"), endpoint);
    log_dialogue(params->account, '>', line, len < (int)sizeof(line) ? (size_t)len : sizeof(line) - 1);
    len = snprintf(line, sizeof(line), "HTTP status %ld", status);
    log_dialogue(params->account, '<', line, (size_t)len);
}

static int run(CURL *curl, const struct oauth_params *params, const char *endpoint, struct exchange *exchange,
               long *status, struct fault *fault)
{
    CURLcode code = curl_easy_perform(curl);

    *status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    tell(params, endpoint, *status);
    if (code != CURLE_OK)
        return transfer_fault(endpoint, code, exchange, fault);
    if (*status != 200 && (*status < 400 || *status > 599))
        return status_fault(curl, endpoint, *status, fault);
    return 0;
}

int oauth_post(const struct oauth_params *params, const char *endpoint, const struct oauth_form *form,
               struct buf *body, long *status, struct fault *fault)
{
    struct exchange exchange = {.body = body};
    struct curl_slist *headers;
    CURL *curl;
    int result;

    if (check_endpoint(endpoint, fault) < 0)
        return -1;
    curl = curl_easy_init();
    headers = curl_slist_append(NULL, "Accept: application/json");
    if (curl == NULL || headers == NULL || form->broken ||
        set_options(curl, params, endpoint, form, headers, &exchange) < 0)
        result = fault_set(fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "oauth", "out of memory");
    else
        result = run(curl, params, endpoint, &exchange, status, fault);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    return result;
}
