/* The login by hand: device authorization (RFC 8628), or authorization code with PKCE (RFC 8252, RFC
 * 7636). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/stop.h"
#include "protocol/oauth_private.h"
#include "store/lock.h"

#define BROWSER_SECONDS 600
#define CODE_MAX 4096
#define URL_MAX 8192

/* Keep what the login brought. */
static int keep(const struct oauth_params *params, struct oauth_answer *answer, struct fault *fault)
{
    struct oauth_file file = {0};
    struct oauth_slot slot;
    int result = -1;
    int lock;

    if (answer->refresh_token == NULL)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "oauth",
                         "the server gave no refresh token; the scope must ask for one (offline_access)");
    lock = oauth_lock(params, fault);
    if (lock < 0)
        return -1;
    if (oauth_file_take(params, &file, answer) < 0)
        (void)fault_set(fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "oauth", "out of memory");
    else if (oauth_slot_open(params, &slot, fault) == 0)
        result = oauth_slot_commit(&slot, &file, fault);
    lock_release(lock);
    oauth_file_free(&file);
    return result;
}

/* Before a person is sent to the browser: can the outcome be stored? */
static int check_room(const struct oauth_params *params, struct fault *fault)
{
    struct oauth_slot slot;
    int lock = oauth_lock(params, fault);
    int result;

    if (lock < 0)
        return -1;
    result = oauth_slot_open(params, &slot, fault);
    if (result == 0)
        oauth_slot_close(&slot);
    lock_release(lock);
    return result;
}

/* Wait, looking at the stop flag. */
static int sleep_until(int64_t end, struct fault *fault)
{
    static const struct timespec slice = {.tv_nsec = 200000000L};

    while (clock_ms() < end) {
        if (stop_requested())
            return fault_set(fault, FAULT_OF_MAILBOX, FAULT_RETRY, "oauth", "interrupted");
        (void)nanosleep(&slice, NULL);
    }
    return 0;
}

static int ask_device(const struct oauth_params *params, struct oauth_device *device, struct fault *fault)
{
    struct oauth_answer refusal = {0};
    struct oauth_form form;
    struct buf body;
    const char *why = NULL;
    char host[256];
    long status = 0;
    int result;

    oauth_form_init(&form);
    oauth_form_add(&form, "client_id", params->client_id);
    oauth_form_add_secret(&form, "client_secret", params->client_secret);
    oauth_form_add(&form, "scope", params->scope);
    buf_init(&body, OAUTH_ANSWER_MAX);
    (void)oauth_host(params->device_endpoint, host, sizeof(host));
    result = oauth_post(params, params->device_endpoint, &form, &body, &status, fault);
    if (result == 0 && status == 200) {
        result = oauth_device_parse(body.len > 0 ? body.data : "", body.len, device, &why);
        if (result < 0)
            (void)fault_set(fault, FAULT_OF_MAILBOX, FAULT_PROTOCOL, "oauth", "the answer of %s %s", host,
                            why);
    } else if (result == 0) {
        if (status < 500 &&
            oauth_answer_parse(body.len > 0 ? body.data : "", body.len, &refusal, &why) == 0 &&
            refusal.error[0] != '\0')
            result = oauth_refused(params, params->device_endpoint, &form, &refusal, fault);
        else
            result = fault_set(fault, FAULT_OF_MAILBOX,
                               status >= 500 || status == 429 ? FAULT_RETRY : FAULT_PROTOCOL, "oauth",
                               "%s answered with HTTP status %ld", host, status);
    }
    oauth_answer_free(&refusal);
    buf_free(&body);
    oauth_form_free(&form);
    return result;
}

static void show_device(const struct oauth_params *params, const struct oauth_device *device, FILE *out)
{
    (void)fprintf(out,
                  "To let popferry fetch the mail of %s, open\n\n    %s\n\nin a browser and enter the "
                  "code\n\n    %s\n\n",
                  params->username != NULL ? params->username : params->account, device->uri,
                  device->user_code);
    if (device->uri_complete[0] != '\0')
        (void)fprintf(out, "(or open this address, which has the code in it: %s)\n\n", device->uri_complete);
    (void)fprintf(out, "Waiting for at most %lld minutes; Ctrl-C gives up.\n",
                  (long long)((device->expires_in + 59) / 60));
    (void)fflush(out);
}

/* One answer while the person is at the browser. Returns 1: ask again, 0: tokens, -1. */
static int judge(const struct oauth_params *params, const struct oauth_form *form,
                 const struct oauth_answer *answer, int64_t *interval, struct fault *fault)
{
    if (answer->error[0] == '\0')
        return 0;
    if (strcmp(answer->error, "authorization_pending") == 0)
        return 1;
    if (strcmp(answer->error, "slow_down") == 0) {
        *interval += 5;
        return 1;
    }
    if (strcmp(answer->error, "access_denied") == 0)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "oauth",
                         "the login was refused in the browser (access_denied)");
    if (strcmp(answer->error, "expired_token") == 0)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "oauth",
                         "the code has expired; run popferry authorize %s again", params->account);
    return oauth_refused(params, params->token_endpoint, form, answer, fault);
}

static int poll_device(const struct oauth_params *params, const struct oauth_device *device,
                       const struct oauth_form *form, struct oauth_answer *answer, struct fault *fault)
{
    int64_t end = clock_ms() + device->expires_in * 1000;
    int64_t interval = device->interval;

    for (;;) {
        int64_t next = clock_ms() + interval * 1000;
        int result;

        if (sleep_until(next < end ? next : end, fault) < 0)
            return -1;
        if (clock_ms() >= end)
            return fault_set(fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "oauth",
                             "the code has expired; run popferry authorize %s again", params->account);
        if (oauth_ask(params, form, answer, fault) < 0) {
            if (fault->class != FAULT_RETRY || stop_requested())
                return -1;
            interval *= 2; /* RFC 8628 section 3.5: back off after a timeout */
            continue;
        }
        result = judge(params, form, answer, &interval, fault);
        if (result <= 0)
            return result;
        oauth_answer_free(answer);
    }
}

static int device_flow(const struct oauth_params *params, FILE *out, struct oauth_answer *answer,
                       struct fault *fault)
{
    struct oauth_device device;
    struct oauth_form form;
    int result;

    if (ask_device(params, &device, fault) < 0)
        return -1;
    show_device(params, &device, out);
    oauth_form_init(&form);
    oauth_form_add(&form, "grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    oauth_form_add_secret(&form, "device_code", device.device_code);
    oauth_form_add(&form, "client_id", params->client_id);
    oauth_form_add_secret(&form, "client_secret", params->client_secret);
    result = poll_device(params, &device, &form, answer, fault);
    oauth_form_free(&form);
    oauth_device_free(&device);
    return result;
}

/* What a browser flow must remember between its two halves. */
struct session {
    char verifier[OAUTH_RANDOM_SIZE];
    char state[OAUTH_RANDOM_SIZE];
    char redirect[48];
    char code[CODE_MAX];
};

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* The address for the browser (RFC 6749 section 4.1.1, RFC 7636 section 4.3). */
static int show_browser(const struct oauth_params *params, const struct session *session, FILE *out,
                        struct fault *fault)
{
    const char *endpoint = params->authorization_endpoint;
    char challenge[OAUTH_RANDOM_SIZE];
    char host[256];
    struct oauth_form query;

    oauth_pkce_challenge(session->verifier, challenge);
    oauth_form_init(&query);
    oauth_form_add(&query, "response_type", "code");
    oauth_form_add(&query, "client_id", params->client_id);
    oauth_form_add(&query, "redirect_uri", session->redirect);
    oauth_form_add(&query, "scope", params->scope);
    oauth_form_add(&query, "state", session->state);
    oauth_form_add(&query, "code_challenge", challenge);
    oauth_form_add(&query, "code_challenge_method", "S256");
    oauth_form_add(&query, "login_hint", params->username);
    /* Google gives a refresh token only to those who ask in its own way. */
    if (ends_with(oauth_host(endpoint, host, sizeof(host)), ".google.com") &&
        strstr(endpoint, "access_type=") == NULL) {
        oauth_form_add(&query, "access_type", "offline");
        oauth_form_add(&query, "prompt", "consent");
    }
    if (query.broken || query.text.len + strlen(endpoint) > URL_MAX) {
        oauth_form_free(&query);
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_CONFIG, "oauth",
                         "the authorization_endpoint is too long");
    }
    (void)fprintf(
        out,
        "To let popferry fetch the mail of %s, open this address in a browser:\n\n%s%s%s\n\n"
        "The browser ends at an address that begins with %s.\nIf it runs on another machine, that page "
        "cannot be "
        "opened: copy its whole address\nfrom the browser, paste it here and press Enter. Ctrl-C gives up.\n",
        params->username != NULL ? params->username : params->account, endpoint,
        strchr(endpoint, '?') != NULL ? "&" : "?", query.text.data, session->redirect);
    (void)fflush(out);
    oauth_form_free(&query);
    return 0;
}

static int trade_code(const struct oauth_params *params, const struct session *session,
                      struct oauth_answer *answer, struct fault *fault)
{
    struct oauth_form form;
    int result;

    oauth_form_init(&form);
    oauth_form_add(&form, "grant_type", "authorization_code");
    oauth_form_add_secret(&form, "code", session->code);
    oauth_form_add(&form, "redirect_uri", session->redirect);
    oauth_form_add(&form, "client_id", params->client_id);
    oauth_form_add_secret(&form, "client_secret", params->client_secret);
    oauth_form_add_secret(&form, "code_verifier", session->verifier);
    result = oauth_ask(params, &form, answer, fault);
    if (result == 0 && answer->error[0] != '\0')
        result = oauth_refused(params, params->token_endpoint, &form, answer, fault);
    oauth_form_free(&form);
    return result;
}

static int browser_flow(const struct oauth_params *params, FILE *in, FILE *out, struct oauth_answer *answer,
                        struct fault *fault)
{
    struct oauth_loopback *loopback;
    struct session session = {0};
    unsigned port = 0;
    int result;

    if (oauth_random(session.verifier) < 0 || oauth_random(session.state) < 0)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "oauth", "no random octets");
    if (oauth_loopback_open(&loopback, &port, fault) < 0)
        return -1;
    (void)snprintf(session.redirect, sizeof(session.redirect), "http://127.0.0.1:%u/", port);
    result = show_browser(params, &session, out, fault);
    if (result == 0)
        result = oauth_loopback_wait(loopback, in != NULL ? fileno(in) : -1, session.state, BROWSER_SECONDS,
                                     session.code, sizeof(session.code), fault);
    oauth_loopback_close(loopback);
    if (result == 0)
        result = trade_code(params, &session, answer, fault);
    OPENSSL_cleanse(&session, sizeof(session));
    return result;
}

int oauth_authorize(const struct oauth_params *params, FILE *in, FILE *out, struct fault *fault)
{
    struct oauth_answer answer = {0};
    int result;

    if (params->client_id == NULL || params->token_endpoint == NULL)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_CONFIG, "oauth",
                         "the oauth section needs token_endpoint and client_id");
    if (check_room(params, fault) < 0)
        return -1;
    if (params->device_endpoint != NULL)
        result = device_flow(params, out, &answer, fault);
    else if (params->authorization_endpoint != NULL)
        result = browser_flow(params, in, out, &answer, fault);
    else
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_CONFIG, "oauth",
                         "the oauth section needs a device_endpoint or an authorization_endpoint");
    if (result == 0)
        result = keep(params, &answer, fault);
    oauth_answer_free(&answer);
    return result;
}
