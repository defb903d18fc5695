#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/evp.h>

#include "poll/connect.h"
#include "poll/mailbox_private.h"
#include "report/log.h"

/* A file's identity and time of change, as text. */
static void describe(const char *path, char *dst, size_t size)
{
    struct stat status;

    dst[0] = '\0';
    if (path != NULL && stat(path, &status) == 0)
        (void)snprintf(dst, size, "%llu %lld %lld.%09ld", (unsigned long long)status.st_ino,
                       (long long)status.st_size, (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

/* A digest of what a login depends on, so that a changed setting ends the waiting after a refusal. No secret
 * goes in: a password's change shows in the time of the file that holds it. */
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
    len = snprintf(text, sizeof(text), "%s\n%u\n%d\n%d\n%s\n%s\n%s\n%s\n", peer->host, peer->port,
                   (int)peer->tls, (int)peer->auth, peer->username != NULL ? peer->username : "",
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
        (void)fault_set(&fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "login", "left alone until %s, because %.400s",
                        when, record->last_fault);
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
    mailbox->result.login_surely = mailbox->result.login_refused && login.code == POP3_CODE_AUTH;
    mailbox_fault(mailbox, &fault, NULL);
    return -1;
}
