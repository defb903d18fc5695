/* From refresh token to access token. */
#include "protocol/oauth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/oauth_private.h"
#include "store/lock.h"

#define SPARE 60 /* seconds that a cached token must still be good for */

static bool same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* What a person does about a refresh token that is worth nothing any more. */
static bool wants_login(const char *error)
{
    return same(error, "invalid_grant") || same(error, "interaction_required") ||
           same(error, "consent_required") || same(error, "login_required");
}

static bool passes(const char *error)
{
    return same(error, "temporarily_unavailable") || same(error, "server_error") || same(error, "slow_down");
}

int oauth_refused(const struct oauth_params *params, const char *endpoint, const struct oauth_form *form,
                  const struct oauth_answer *answer, struct fault *fault)
{
    enum fault_class class = passes(answer->error) ? FAULT_RETRY : FAULT_LOGIN;
    char host[256];
    char quoted[300] = "";
    char hint[300] = "";
    char error[sizeof(answer->error)];
    size_t i;

    (void)snprintf(error, sizeof(error), "%s", answer->error);
    /* A server may quote what it was sent. */
    for (i = 0; i < form->secret_count; i++) {
        oauth_mask(error, form->secrets[i]);
        if (answer->description != NULL)
            oauth_mask(answer->description, form->secrets[i]);
    }
    if (answer->description != NULL)
        (void)fault_quote(quoted, sizeof(quoted), answer->description, strlen(answer->description));
    if (wants_login(answer->error))
        (void)snprintf(hint, sizeof(hint), "; run popferry authorize %s again", params->account);
    return fault_set(fault, FAULT_OF_MAILBOX, class, "oauth", "%s refused: %s%s%s%s",
                     oauth_host(endpoint, host, sizeof(host)), error, quoted[0] != '\0' ? ": " : "", quoted,
                     hint);
}

int oauth_ask(const struct oauth_params *params, const struct oauth_form *form, struct oauth_answer *answer,
              struct fault *fault)
{
    const char *why = NULL;
    char host[256];
    struct buf body;
    long status;
    int result;

    *answer = (struct oauth_answer){0};
    if (params->token_endpoint == NULL || params->client_id == NULL)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_CONFIG, "oauth",
                         "the oauth section needs token_endpoint and client_id");
    buf_init(&body, OAUTH_ANSWER_MAX);
    if (oauth_post(params, params->token_endpoint, form, &body, &status, fault) < 0) {
        buf_free(&body);
        return -1;
    }
    result = oauth_answer_parse(body.len > 0 ? body.data : "", body.len, answer, &why);
    buf_free(&body);
    (void)oauth_host(params->token_endpoint, host, sizeof(host));
    if (status >= 500 || status == 429 || status == 408) {
        if (same(answer->error, "slow_down") || same(answer->error, "authorization_pending"))
            return 0;
        oauth_answer_free(answer);
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_RETRY, "oauth", "%s answered with HTTP status %ld",
                         host, status);
    }
    if (result == 0 && (status == 200 || answer->error[0] != '\0'))
        return 0;
    oauth_answer_free(answer);
    if (status != 200)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_PROTOCOL, "oauth", "%s answered with HTTP status %ld",
                         host, status);
    return fault_set(fault, FAULT_OF_MAILBOX, FAULT_PROTOCOL, "oauth", "the answer of %s %s", host, why);
}

static char *copy(const char *text, bool *failed)
{
    char *result = text == NULL ? NULL : strdup(text);

    *failed = *failed || (text != NULL && result == NULL);
    return result;
}

int oauth_file_take(const struct oauth_params *params, struct oauth_file *file, struct oauth_answer *answer)
{
    char digest[65];
    bool failed = false;

    oauth_free_secret(file->access_token);
    file->access_token = answer->access_token;
    answer->access_token = NULL;
    file->obtained_at = (int64_t)time(NULL);
    file->expires_at = answer->expires_in > 0 ? file->obtained_at + answer->expires_in : 0;
    /* The token that was sent has served: the one before it is not needed any more. It is itself kept while a
     * new one is unproven. */
    oauth_free_secret(file->previous);
    file->previous = NULL;
    if (answer->refresh_token != NULL && !same(answer->refresh_token, file->refresh_token)) {
        file->previous = file->refresh_token;
        file->refresh_token = answer->refresh_token;
        answer->refresh_token = NULL;
    }
    free(file->token_endpoint);
    free(file->client_id);
    free(file->origin);
    file->token_endpoint = copy(params->token_endpoint, &failed);
    file->client_id = copy(params->client_id, &failed);
    file->origin = NULL;
    if (params->refresh_token != NULL) {
        oauth_digest(params->refresh_token, digest);
        file->origin = copy(digest, &failed);
    }
    return failed ? -1 : 0;
}

/* Bring file and fetchrc together: a configured refresh token that changed wins; tokens of another server or
 * client are not sent. */
static int choose(const struct oauth_params *params, struct oauth_file *file, struct fault *fault)
{
    bool ours =
        same(file->token_endpoint, params->token_endpoint) && same(file->client_id, params->client_id);
    char digest[65];

    if (params->refresh_token != NULL) {
        oauth_digest(params->refresh_token, digest);
        if (ours && same(file->origin, digest))
            return 0;
        if (!oauth_token_ok(params->refresh_token))
            return fault_set(fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "oauth",
                             "the configured refresh token is none");
        oauth_file_free(file);
        file->refresh_token = strdup(params->refresh_token);
        return file->refresh_token != NULL
                   ? 0
                   : fault_set(fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "oauth", "out of memory");
    }
    if (file->refresh_token == NULL)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "oauth",
                         "no token yet; run popferry authorize %s", params->account);
    if (!ours)
        return fault_set(
            fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "oauth",
            "the stored token is for another token_endpoint or client_id; run popferry authorize %s again",
            params->account);
    return 0;
}

static int hand_out(const struct oauth_file *file, struct buf *token, struct fault *fault)
{
    buf_wipe(token);
    if (buf_puts(token, file->access_token) < 0)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "oauth", "out of memory");
    return 0;
}

/* Load and choose. Returns 1 when the cached access token serves, 0 when it must be renewed. */
static int load(const struct oauth_params *params, const char *refuse, struct oauth_file *file,
                struct fault *fault)
{
    int64_t now = (int64_t)time(NULL);

    if (oauth_file_load(params, file, fault) < 0 || choose(params, file, fault) < 0)
        return -1;
    /* A clock that was set back makes the end worthless. */
    return file->access_token != NULL && !same(file->access_token, refuse) &&
           file->expires_at > now + SPARE && file->obtained_at <= now + SPARE;
}

static int ask_refresh(const struct oauth_params *params, const char *refresh_token,
                       struct oauth_answer *answer, struct fault *fault)
{
    struct oauth_form form;
    int result;

    /* No scope: it stays the one that was granted (RFC 6749 section 6). */
    oauth_form_init(&form);
    oauth_form_add(&form, "grant_type", "refresh_token");
    oauth_form_add_secret(&form, "refresh_token", refresh_token);
    oauth_form_add(&form, "client_id", params->client_id);
    oauth_form_add_secret(&form, "client_secret", params->client_secret);
    result = oauth_ask(params, &form, answer, fault);
    if (result == 0 && answer->error[0] != '\0')
        result = oauth_refused(params, params->token_endpoint, &form, answer, fault);
    oauth_form_free(&form);
    return result;
}

/* Ask with the newest refresh token; where the server does not know it, with the one before: an answer that
 * was stored but never took effect on the other side would otherwise lock the account out. */
static int ask_either(const struct oauth_params *params, struct oauth_file *file, struct oauth_answer *answer,
                      struct fault *fault)
{
    struct oauth_answer second;
    struct fault other;
    char *newest;

    if (ask_refresh(params, file->refresh_token, answer, fault) == 0)
        return 0;
    if (!same(answer->error, "invalid_grant") || file->previous == NULL)
        return -1;
    if (ask_refresh(params, file->previous, &second, &other) < 0) {
        oauth_answer_free(&second);
        if (other.class == FAULT_RETRY)
            *fault = other; /* whether the account is locked out is not known yet */
        return -1;
    }
    oauth_answer_free(answer);
    *answer = second;
    newest = file->refresh_token;
    file->refresh_token = file->previous;
    file->previous = newest;
    return 0;
}

/* Renew the tokens; the lock is held. */
static int renew(const struct oauth_params *params, const char *refuse, struct oauth_file *file,
                 struct fault *fault)
{
    struct oauth_answer answer = {0};
    struct oauth_slot slot;
    int result;

    if (oauth_slot_open(params, &slot, fault) < 0)
        return -1;
    result = ask_either(params, file, &answer, fault);
    if (result < 0) {
        oauth_slot_close(&slot);
    } else if (oauth_file_take(params, file, &answer) < 0) {
        oauth_slot_close(&slot);
        result = fault_set(fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "oauth", "out of memory");
    } else {
        result = oauth_slot_commit(&slot, file, fault);
    }
    oauth_answer_free(&answer);
    if (result == 0 && same(file->access_token, refuse))
        result = fault_set(
            fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "oauth",
            "the authorization server gave the refused access token again; run popferry authorize %s again",
            params->account);
    return result;
}

int oauth_token(const struct oauth_params *params, const char *refuse, struct buf *token, struct fault *fault)
{
    struct oauth_file file = {0};
    int result;
    int lock;

    /* Without the lock first: the file is only ever replaced as a whole. */
    result = load(params, refuse, &file, fault);
    if (result == 0) {
        oauth_file_free(&file);
        lock = oauth_lock(params, fault);
        if (lock < 0)
            return -1;
        /* Another run may have renewed it while this one waited. */
        result = load(params, refuse, &file, fault);
        if (result == 0)
            result = renew(params, refuse, &file, fault);
        lock_release(lock);
    }
    if (result >= 0)
        result = hand_out(&file, token, fault);
    oauth_file_free(&file);
    return result;
}
