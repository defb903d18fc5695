#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "commands/check_private.h"
#include "config/secret.h"
#include "poll/connect.h"
#include "poll/plan.h"
#include "report/human.h"
#include "store/lock.h"

#define WORDS_MAX 1024

/* A session with a mailbox that is being checked. */
struct visit {
    const struct check *check;
    const struct config_account *account;
    struct check_subject *subject;
    struct pop3 *pop3;
    struct pop3_listing listing;
};

static int fail(struct visit *visit, const char *step, const struct fault *fault)
{
    check_fault(visit->subject, step, fault);
    check_advise(visit->subject, fault->class == FAULT_RETRY
                                     ? "try again later; popferry -vv check shows the dialogue"
                                     : "popferry -vv check shows the dialogue");
    return -1;
}

/* ---- CAPA ---- */

static void add_word(struct buf *words, json_t *list, bool known, const char *word)
{
    if (!known)
        return;
    (void)buf_printf(words, "%s%s", words->len > 0 ? " " : "", word);
    (void)json_array_append_new(list, json_string(word));
}

static void add_numbers(struct buf *words, json_t *list, const struct pop3_capabilities *capabilities)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "LOGIN-DELAY %u", capabilities->login_delay);
    add_word(words, list, capabilities->login_delay_given, text);
    if (capabilities->expire_never)
        (void)snprintf(text, sizeof(text), "EXPIRE NEVER");
    else
        (void)snprintf(text, sizeof(text), "EXPIRE %u", capabilities->expire_days);
    add_word(words, list, capabilities->expire_given, text);
}

static void tell_capabilities(struct visit *visit)
{
    const struct pop3_capabilities *has = pop3_capabilities(visit->pop3);
    json_t *list = json_array();
    struct buf words;

    buf_init(&words, WORDS_MAX);
    add_word(&words, list, has->top, "TOP");
    add_word(&words, list, has->user, "USER");
    add_word(&words, list, has->uidl, "UIDL");
    add_word(&words, list, has->pipelining, "PIPELINING");
    add_word(&words, list, has->stls, "STLS");
    add_word(&words, list, has->resp_codes, "RESP-CODES");
    add_word(&words, list, has->auth_resp_code, "AUTH-RESP-CODE");
    add_word(&words, list, has->utf8, "UTF8");
    add_word(&words, list, has->sasl_plain, "SASL:PLAIN");
    add_word(&words, list, has->sasl_login, "SASL:LOGIN");
    add_word(&words, list, has->sasl_cram_md5, "SASL:CRAM-MD5");
    add_word(&words, list, has->sasl_oauthbearer, "SASL:OAUTHBEARER");
    add_word(&words, list, has->sasl_xoauth2, "SASL:XOAUTH2");
    add_word(&words, list, has->sasl_external, "SASL:EXTERNAL");
    add_numbers(&words, list, has);
    if (has->known)
        check_found(visit->subject, "CAPA", CHECK_OK, "%s%s%s", words.len > 0 ? words.data : "nothing",
                    has->implementation[0] != '\0' ? "; " : "", has->implementation);
    else
        check_found(visit->subject, "CAPA", CHECK_NOTE, "not known to this server: one command at a time");
    (void)json_object_set_new(visit->subject->facts, "capabilities", list);
    buf_free(&words);
}

static void tell_limits(struct visit *visit)
{
    const struct pop3_capabilities *has = pop3_capabilities(visit->pop3);
    bool keep = visit->account->keep;

    if (!visit->listing.has_uidl && visit->listing.count > 0)
        check_found(visit->subject, "UIDL", CHECK_WARNING,
                    "the server gives messages no identity; they are told apart by their %s",
                    keep ? "headers (TOP)" : "content");
    if (keep && pop3_expires_at_once(has))
        check_found(visit->subject, "EXPIRE", CHECK_WARNING,
                    "the server deletes what was retrieved, whatever `keep` says");
    if (has->login_delay_given && has->login_delay > 0)
        check_found(visit->subject, "LOGIN-DELAY", CHECK_NOTE,
                    "a run within %u s of the last one waits its turn", has->login_delay);
}

/* ---- what is there, and what a run would do with it ---- */

static void add_count(struct buf *text, size_t count, const char *what)
{
    if (count > 0)
        (void)buf_printf(text, ", %zu %s", count, what);
}

/* Messages that a run would retrieve: new to the history, or left over by earlier runs. */
struct arrivals {
    size_t new, waiting, refused;
    uint64_t octets; /* of the new ones */
};

static struct arrivals count_arrivals(const struct plan *plan)
{
    struct arrivals found = {.refused = plan->actions[PLAN_WAIT]};
    size_t i;

    for (i = 0; i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        bool known = item->row != NULL && item->row->state == HISTORY_LISTED;
        if (item->action != PLAN_RETRIEVE)
            continue;
        found.new += !known;
        found.octets += known ? 0 : item->entry->octets;
        found.waiting += known && item->row->refusals == 0;
        found.refused += known && item->row->refusals > 0;
    }
    return found;
}

static void tell_plan(struct visit *visit, const struct plan *plan)
{
    const struct arrivals found = count_arrivals(plan);
    const size_t *n = plan->actions;
    char octets[HUMAN_SIZE];
    struct buf text;
    json_t *messages;

    buf_init(&text, WORDS_MAX);
    (void)buf_printf(&text, "%zu new (%s), %zu kept, %zu oversize, %zu waiting", found.new,
                     human_octets(octets, found.octets), n[PLAN_KEEP], n[PLAN_OVERSIZE] + n[PLAN_NOTICE],
                     found.waiting);
    add_count(&text, found.refused, "refused");
    add_count(&text, n[PLAN_DELETE], "to be deleted");
    add_count(&text, n[PLAN_COMPARE] + n[PLAN_IDENTIFY], "to be told apart by their content");
    add_count(&text, n[PLAN_LATER], "beyond max_messages");
    check_found(visit->subject, "messages", CHECK_OK, "%s", text.data);
    buf_free(&text);
    messages =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)plan->count,
                  "octets", (json_int_t)visit->listing.stat_octets, "new", (json_int_t)found.new,
                  "new_octets", (json_int_t)found.octets, "kept", (json_int_t)n[PLAN_KEEP], "oversize",
                  (json_int_t)(n[PLAN_OVERSIZE] + n[PLAN_NOTICE]), "waiting", (json_int_t)found.waiting,
                  "refused", (json_int_t)found.refused,
                  "delete", (json_int_t)n[PLAN_DELETE], "compare",
                  (json_int_t)(n[PLAN_COMPARE] + n[PLAN_IDENTIFY]), "later", (json_int_t)n[PLAN_LATER]);
    (void)json_object_set_new(visit->subject->facts, "messages", messages);
    if (n[PLAN_WAIT] == 0)
        return;
    check_found(visit->subject, "refused", CHECK_WARNING,
                "%zu message%s refused before, waiting for the next try", n[PLAN_WAIT],
                n[PLAN_WAIT] == 1 ? "" : "s");
    check_advise(visit->subject,
                 "popferry history --state=refused %s says why; --retry tries them in the next run",
                 visit->account->peer.title);
}

static int make_plan(struct visit *visit, const struct history_mailbox *record, struct fault *fault)
{
    const struct config_account *account = visit->account;
    const struct plan_limits limits = {.keep = account->keep,
                                       .keep_days = account->keep_days,
                                       .max_size = account->max_size,
                                       .notice = account->oversize == CONFIG_OVERSIZE_HEADERS,
                                       .max_messages = account->max_messages,
                                       .now = (int64_t)time(NULL),
                                       .newest_receipt = record->newest_receipt};
    struct history_rows rows = {0};
    struct plan plan = {0};
    const char **uids = NULL;
    size_t count;
    int result = plan_uids(&visit->listing, &uids, &count);

    if (result < 0)
        (void)fault_set(fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "list", "out of memory");
    if (result == 0)
        result = history_load(visit->check->history, record->id, uids, count, &rows, fault);
    if (result == 0 && plan_make(&plan, &visit->listing, &rows, &limits) < 0)
        result = fault_set(fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "list", "out of memory");
    if (result == 0)
        tell_plan(visit, &plan);
    free(uids);
    plan_free(&plan);
    history_rows_free(&rows);
    return result;
}

static int tell_messages(struct visit *visit)
{
    struct history_mailbox record;
    char octets[HUMAN_SIZE];
    struct fault fault;

    check_found(visit->subject, "STAT", CHECK_OK, "%llu message%s, %s",
                (unsigned long long)visit->listing.stat_count, visit->listing.stat_count == 1 ? "" : "s",
                human_octets(octets, visit->listing.stat_octets));
    if (visit->check->history == NULL)
        return 0;
    if (history_mailbox(visit->check->history, visit->account->identity, &record, &fault) < 0 ||
        make_plan(visit, &record, &fault) < 0)
        return fail(visit, "history", &fault);
    if (clock_waits(record.login_retry_at, (int64_t)time(NULL)))
        check_found(
            visit->subject, "waiting", CHECK_NOTE,
            "runs leave the account alone for now, after %u refused logins; popferry run %s tries at once",
            record.login_refusals, visit->account->peer.title);
    return 0;
}

/* ---- the session ---- */

static int try_command(struct visit *visit, enum pop3_verb verb, const char *name)
{
    struct pop3_reply reply;
    struct fault fault;

    if (pop3_ask(visit->pop3, verb, 0, 0, &fault) < 0 || pop3_reply(visit->pop3, &reply, &fault) < 0)
        return fail(visit, name, &fault);
    check_found(visit->subject, name, reply.ok ? CHECK_OK : CHECK_WARNING, "%s", reply.text);
    return 0;
}

static void look_around(struct visit *visit)
{
    struct fault fault;

    if (pop3_list(visit->pop3, &visit->listing, &fault) < 0) {
        tell_capabilities(visit);
        (void)fail(visit, "listing", &fault);
        return;
    }
    tell_capabilities(visit);
    tell_limits(visit);
    if (tell_messages(visit) < 0 || try_command(visit, POP3_NOOP, "NOOP") < 0 ||
        try_command(visit, POP3_RSET, "RSET") < 0)
        return;
    /* Nothing was marked: QUIT changes nothing. */
    (void)try_command(visit, POP3_QUIT, "QUIT");
}

static void describe_secret(const struct config_account *account, char *dst, size_t size)
{
    if (account->token_command != NULL)
        (void)snprintf(dst, size, "token_command");
    else if (account->oauth != NULL)
        (void)snprintf(dst, size, "access token of oauth \"%s\"", account->oauth->title);
    else
        check_describe_secret(&account->peer.secret, dst, size);
}

static void visit_mailbox(struct visit *visit)
{
    struct wire_certificate certificate = {.seen = false};
    const struct connect_params params = {
        .config = visit->check->config, .state_dir = visit->check->state_dir, .certificate = &certificate};
    const struct config_account *account = visit->account;
    struct pop3_login login;
    struct fault fault;
    char secret[512];
    int result = connect_mailbox(&visit->pop3, &params, account, &login, &fault);

    describe_secret(account, secret, sizeof(secret));
    check_connection(visit->subject, &account->peer, secret, &certificate,
                     result == 0 ? pop3_wire(visit->pop3) : NULL, result == 0 ? NULL : &fault,
                     account->provider_hint);
    if (result < 0)
        return;
    look_around(visit);
    pop3_listing_free(&visit->listing);
    pop3_close(visit->pop3);
}

void check_mailbox(const struct check *check, const struct config_account *account,
                   struct check_subject *subject)
{
    struct visit visit = {.check = check, .account = account, .subject = subject};
    struct fault fault;
    int busy = 0;
    int lock;

    check_subject(subject, "account", account->peer.title, account->identity);
    if (account->provider_hint != NULL)
        check_found(subject, "provider", CHECK_NOTE, "%s: %s", account->provider, account->provider_hint);
    if (!account->enabled)
        check_found(subject, "enabled", CHECK_NOTE,
                    "runs leave this account out unless it is named (enabled = false)");
    /* No lock without a state directory: nothing is made here. */
    lock = lock_take(check->state_dir, account->identity, 0, &busy, &fault);
    if (lock < 0 && busy) {
        (void)fault_set(&fault, FAULT_OF_MAILBOX, FAULT_RETRY, "lock",
                        "a run is polling this mailbox just now");
        check_fault(subject, "lock", &fault);
        check_advise(subject, "try again when it has ended");
        return;
    }
    visit_mailbox(&visit);
    lock_release(lock);
}
