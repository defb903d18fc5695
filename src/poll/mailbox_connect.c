#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/evp.h>

#include "config/secret.h"
#include "poll/mailbox_private.h"
#include "protocol/oauth.h"
#include "report/log.h"


/* A file's identity and time of change, as text. */
static void describe(const char *path, char *dst, size_t size)
{
    struct stat status;

    dst[0] = '\0';
    if (path != NULL && stat(path, &status) == 0)
        (void)snprintf(dst, size, "%llu %lld %lld.%09ld", (unsigned long long)status.st_ino, (long long)status.st_size,
                       (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

/* A digest of what a login depends on, so that a changed setting ends the waiting after a refusal. No secret goes in: a
 * password's change shows in the time of the file that holds it. */
static void digest_settings(struct mailbox *mailbox)
{
    const struct config_peer *peer = &mailbox->account->peer;
    char fetchrc[96];
    char password_file[96];
    char text[2048];
    size_t size;
    int len;

    describe(mailbox->params->config->path, fetchrc, sizeof(fetchrc));
    describe(peer->secret.password_file, password_file, sizeof(password_file));
    len = snprintf(text, sizeof(text), "%s\n%u\n%d\n%d\n%s\n%s\n%s\n%s\n", peer->host, peer->port, (int)peer->tls,
                   (int)peer->auth, peer->username != NULL ? peer->username : "",
                   peer->proxy != NULL ? peer->proxy : "", fetchrc, password_file);
    size = len < 0 ? 0 : (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
    (void)EVP_Digest(text, size, mailbox->result.settings, NULL, EVP_sha256(), NULL);
}

static void tell_waiting(const struct mailbox *mailbox, int64_t until, const char *why)
{
    struct tm local;
    char when[32];
    time_t at = (time_t)until;

    (void)localtime_r(&at, &local);
    (void)strftime(when, sizeof(when), "%F %H:%M", &local);
    log_line(LOG_LEVEL_INFO, mailbox->account->peer.title, "left alone until %s: %s", when, why);
}

bool mailbox_left_alone(struct mailbox *mailbox)
{
    const struct history_mailbox *record = &mailbox->record;
    int64_t now = mailbox->limits.now;
    struct fault fault;

    digest_settings(mailbox);
    if (mailbox->params->named)
        return false;
    /* A clock that was set back must not lock an account out: no wait is ever longer than a day. */
    if (record->login_retry_at > now && record->login_retry_at - now <= 86400 &&
        memcmp(record->settings, mailbox->result.settings, sizeof(record->settings)) == 0) {
        struct tm local;
        char when[32];
        time_t at = (time_t)record->login_retry_at;
        (void)localtime_r(&at, &local);
        (void)strftime(when, sizeof(when), "%H:%M", &local);
        (void)fault_set(&fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "login", "left alone until %s, because %.400s", when,
                        record->last_fault);
        mailbox->outcome->waiting = true;
        outcome_fault(mailbox->outcome, &fault, true);
        log_fault(mailbox->account->peer.title, &fault);
        return true;
    }
    if (record->poll_not_before > now && record->poll_not_before - now <= 86400) {
        tell_waiting(mailbox, record->poll_not_before, "the server announced a LOGIN-DELAY");
        mailbox->outcome->waiting = true;
        return true;
    }
    return false;
}

static int fetch_token(struct mailbox *mailbox, const char *refuse, struct buf *token, struct fault *fault)
{
    const struct config_account *account = mailbox->account;
    const struct config_oauth *oauth = account->oauth;
    struct buf refresh;
    struct oauth_params params;
    int result;

    if (account->token_command != NULL)
        return secret_token(account, mailbox->params->config->timeout, token, fault);
    params = (struct oauth_params){.account = account->peer.title,
                                   .identity = account->identity,
                                   .username = account->peer.username,
                                   .state_dir = mailbox->params->state_dir,
                                   .token_endpoint = oauth->token_endpoint,
                                   .device_endpoint = oauth->device_endpoint,
                                   .authorization_endpoint = oauth->authorization_endpoint,
                                   .client_id = oauth->client_id,
                                   .client_secret = oauth->client_secret,
                                   .scope = oauth->scope,
                                   .tls_ca_file = oauth->tls_ca_file,
                                   .timeout = mailbox->params->config->timeout};
    buf_init(&refresh, SECRET_MAX);
    if (secret_is_set(&account->peer.secret)) {
        if (secret_get(&account->peer.secret, mailbox->params->config->timeout, &refresh, fault) < 0) {
            buf_free(&refresh);
            return -1;
        }
        params.refresh_token = refresh.data;
    }
    result = oauth_token(&params, refuse, token, fault);
    buf_free(&refresh);
    return result;
}

static bool wants_token(const struct config_account *account)
{
    return account->oauth != NULL || account->token_command != NULL;
}

static int fetch_secret(struct mailbox *mailbox, struct buf *secret, struct fault *fault)
{
    if (wants_token(mailbox->account))
        return fetch_token(mailbox, NULL, secret, fault);
    if (!secret_is_set(&mailbox->account->peer.secret))
        return 0; /* EXTERNAL needs none */
    return secret_get(&mailbox->account->peer.secret, mailbox->params->config->timeout, secret, fault);
}

static int open_session(struct mailbox *mailbox, const char *secret, struct pop3_login *login, struct fault *fault)
{
    static const enum pop3_pipelining pipelining[] = {[CONFIG_PIPELINING_AUTO] = POP3_PIPELINING_AUTO,
                                                      [CONFIG_PIPELINING_ON] = POP3_PIPELINING_ON,
                                                      [CONFIG_PIPELINING_OFF] = POP3_PIPELINING_OFF};
    const struct config_peer *peer = &mailbox->account->peer;
    bool bearer = wants_token(mailbox->account) || peer->auth == AUTH_OAUTHBEARER || peer->auth == AUTH_XOAUTH2;
    struct pop3_params params = {.wire = {.tag = peer->title,
                                          .scope = FAULT_OF_MAILBOX,
                                          .service = WIRE_POP3,
                                          .host = peer->host,
                                          .port = peer->port,
                                          .tls = peer->tls,
                                          .tls_ca_file = peer->tls_ca_file,
                                          .tls_fingerprint = peer->tls_fingerprint,
                                          .tls_cert_file = peer->tls_cert_file,
                                          .tls_key_file = peer->tls_key_file,
                                          .proxy = peer->proxy,
                                          .timeout = mailbox->params->config->timeout},
                                 .auth = peer->auth,
                                 .username = peer->username,
                                 .password = bearer ? NULL : secret,
                                 .bearer = bearer ? secret : NULL,
                                 .pipelining = pipelining[mailbox->account->pipelining],
                                 .login = login};

    *login = (struct pop3_login){0};
    return pop3_open(&mailbox->pop3, &params, fault);
}

/* A token that the server refuses may have been withdrawn before its time: one fresh one is tried. */
static int try_fresh_token(struct mailbox *mailbox, struct buf *secret, struct pop3_login *login, struct fault *fault)
{
    struct buf token;
    int result;

    buf_init(&token, SECRET_MAX);
    result = fetch_token(mailbox, secret->data, &token, fault);
    if (result == 0)
        result = open_session(mailbox, token.data, login, fault);
    buf_free(&token);
    return result;
}

int mailbox_connect(struct mailbox *mailbox)
{
    struct pop3_login login = {0};
    struct fault fault;
    struct buf secret;
    int result;

    buf_init(&secret, SECRET_MAX);
    result = fetch_secret(mailbox, &secret, &fault);
    if (result == 0) {
        result = open_session(mailbox, secret.data, &login, &fault);
        if (result < 0 && login.refused && fault.class == FAULT_LOGIN && wants_token(mailbox->account))
            result = try_fresh_token(mailbox, &secret, &login, &fault);
    }
    buf_free(&secret);
    mailbox->result.login_delay = login.login_delay;
    if (result == 0)
        return 0;
    mailbox->result.login_refused = login.refused && fault.class == FAULT_LOGIN;
    mailbox->result.login_surely = mailbox->result.login_refused && login.code == POP3_CODE_AUTH;
    mailbox_fault(mailbox, &fault, NULL);
    return -1;
}
