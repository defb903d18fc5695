#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/clock.h"
#include "poll/connect.h"
#include "poll/mailbox_private.h"
#include "report/log.h"

#define SETTINGS_MAX 65536

static const char *credentials(void)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");

    return directory != NULL ? directory : "";
}

/* systemd and Kubernetes make the files of credentials anew for each start. What is in them stays out of the
 * history, even as a digest, which would help to guess it: their size must do. */
static bool is_credential(const char *path)
{
    size_t len = strlen(credentials());

    return len > 0 && strncmp(path, credentials(), len) == 0 && path[len] == '/';
}

/* What shows that a file has changed: its identity and time. */
static void describe(const char *path, struct buf *text)
{
    struct stat status;

    if (path == NULL || stat(path, &status) < 0)
        ;
    else if (is_credential(path))
        (void)buf_printf(text, "%lld", (long long)status.st_size);
    else
        (void)buf_printf(text, "%llu %lld %lld.%09ld", (unsigned long long)status.st_ino,
                         (long long)status.st_size, (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    (void)buf_puts(text, "\n");
}

/* A digest of what a login depends on, so that a changed setting ends the waiting after a refusal. */
static void digest_settings(struct mailbox *mailbox)
{
    const struct config_peer *peer = &mailbox->account->peer;
    char credential[PATH_MAX];
    struct buf text;

    buf_init(&text, SETTINGS_MAX);
    (void)buf_printf(&text, "%s\n%u\n%d\n%d\n%s\n%s\n", peer->host, peer->port, (int)peer->tls, (int)peer->auth,
                     peer->username != NULL ? peer->username : "", peer->proxy != NULL ? peer->proxy : "");
    describe(mailbox->params->config->path, &text);
    describe(peer->file, &text);
    describe(peer->secret.password_file, &text);
    describe(peer->tls_cert_file, &text);
    describe(peer->tls_key_file, &text);
    if (peer->secret.credential != NULL &&
        (size_t)snprintf(credential, sizeof(credential), "%s/%s", credentials(), peer->secret.credential) <
            sizeof(credential))
        describe(credential, &text);
    (void)EVP_Digest(text.data != NULL ? text.data : "", text.len, mailbox->result.settings, NULL, EVP_sha256(),
                     NULL);
    buf_free(&text);
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

    if (record->login_retry_at > now)
        digest_settings(mailbox);
    if (mailbox->params->named)
        return false;
    if (clock_waits(record->login_retry_at, now) &&
        memcmp(record->settings, mailbox->result.settings, sizeof(record->settings)) == 0) {
        struct tm local;
        char when[32];
        time_t at = (time_t)record->login_retry_at;
        (void)localtime_r(&at, &local);
        (void)strftime(when, sizeof(when), "%H:%M", &local);
        (void)fault_set(&fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "login", "left alone until %s, because %.400s",
                        when, record->last_fault);
        mailbox->outcome->left_alone = true;
        outcome_fault(mailbox->outcome, &fault, true);
        log_fault(mailbox->account->peer.title, &fault);
        return true;
    }
    if (clock_waits(record->poll_not_before, now)) {
        tell_waiting(mailbox, record->poll_not_before, "the server announced a LOGIN-DELAY");
        mailbox->outcome->left_alone = true;
        return true;
    }
    return false;
}

int mailbox_connect(struct mailbox *mailbox)
{
    const struct connect_params params = {.config = mailbox->params->config,
                                          .state_dir = mailbox->params->state_dir};
    struct pop3_login login;
    struct fault fault;
    int result = connect_mailbox(&mailbox->pop3, &params, mailbox->account, &login, &fault);

    mailbox->result.login_delay = login.login_delay;
    if (result == 0)
        return 0;
    mailbox->result.login_refused = login.refused && fault.class == FAULT_LOGIN;
    if (mailbox->result.login_refused)
        digest_settings(mailbox);
    mailbox->result.login_surely = mailbox->result.login_refused && login.code == POP3_CODE_AUTH;
    mailbox_fault(mailbox, &fault, NULL);
    return -1;
}
