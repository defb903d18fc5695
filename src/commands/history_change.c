#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "commands/history_private.h"
#include "protocol/oauth.h"
#include "store/lock.h"

#define MAILBOXES_MAX 100000

/* ---- asking, holding, telling ---- */

bool history_may(const struct options *options, const char *fmt, ...)
{
    char answer[16];
    va_list args;

    if (options->yes)
        return true;
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputs(" [y/N] ", stderr);
    (void)fflush(stderr);
    if (fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y'))
        return true;
    (void)fputs("Nothing was changed.\n", stderr);
    return false;
}

int history_hold(const struct chronicle *chronicle, const char *identity, int *status)
{
    struct fault fault;
    int busy = 0;
    int lock = lock_take(chronicle->state_dir, identity, 0, &busy, &fault);

    if (lock < 0 && busy)
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_RETRY, "lock",
                        "a run is polling %s just now; try again when it has ended", identity);
    if (lock < 0)
        *status = history_tell(NULL, &fault);
    return lock;
}

static int told(int result, const struct fault *fault, uint64_t changed, const char *what)
{
    if (result < 0)
        return history_tell(NULL, fault);
    (void)printf("%llu message%s %s\n", (unsigned long long)changed, changed == 1 ? "" : "s", what);
    return EX_OK;
}

static int unknown(const char *fmt, const char *what, const char *where)
{
    struct fault fault;

    (void)fault_set(&fault, FAULT_OF_RUN, FAULT_USAGE, "history", "%s %.300s%s%.300s", fmt, what,
                    where[0] != '\0' ? " of " : "", where);
    return history_tell(NULL, &fault);
}

/* The mailboxes that are to be changed. */
struct mailboxes {
    const char *from; /* an identity, or a host; NULL: all */
    bool host;
    char **identities;
    size_t count;
};

static int collect(void *context, const struct history_summary *summary)
{
    struct mailboxes *found = context;
    const char *at = strrchr(summary->identity, '@');
    bool match = found->from == NULL || (found->host ? at != NULL && strcasecmp(at + 1, found->from) == 0
                                                     : strcmp(summary->identity, found->from) == 0);
    char **identities;

    if (!match || found->count >= MAILBOXES_MAX)
        return 0;
    identities = reallocarray(found->identities, found->count + 1, sizeof(*identities));
    if (identities == NULL)
        return 0;
    found->identities = identities;
    identities[found->count] = strdup(summary->identity);
    if (identities[found->count] != NULL)
        found->count++;
    return 0;
}

static void free_mailboxes(struct mailboxes *found)
{
    size_t i;

    for (i = 0; i < found->count; i++)
        free(found->identities[i]);
    free(found->identities);
}

/* ---- --forget, --retry, --prune, --reset ---- */

int history_do_forget(struct chronicle *chronicle)
{
    const char *uid = chronicle->options->forget;
    const char *title = chronicle->options->arguments[0];
    char identity[IDENTITY_MAX];
    uint64_t changed = 0;
    struct fault fault;
    int status = EX_OK;
    int result;
    int lock;

    if (history_identity(chronicle, title, identity) == NULL)
        return EX_USAGE;
    if (!history_may(chronicle->options,
                     "Forget message %s of %s, so that the next run fetches it again if it is still there?",
                     uid, title))
        return EX_OK;
    lock = history_hold(chronicle, identity, &status);
    if (lock < 0)
        return status;
    result = history_forget(chronicle->history, identity, uid, &changed, &fault);
    lock_release(lock);
    if (result == 0 && changed == 0)
        return unknown("the history knows no message", uid, title);
    return told(result, &fault, changed, "forgotten");
}

int history_do_retry(struct chronicle *chronicle)
{
    const char *title = chronicle->options->argument_count > 0 ? chronicle->options->arguments[0] : NULL;
    char identity[IDENTITY_MAX];
    uint64_t changed = 0;
    uint64_t logins = 0;
    struct fault fault;

    if (title != NULL && history_identity(chronicle, title, identity) == NULL)
        return EX_USAGE;
    if (!history_may(chronicle->options, "Try refused messages and logins of %s in the next run?",
                     title != NULL ? title : "all accounts"))
        return EX_OK;
    if (history_retry(chronicle->history, title != NULL ? identity : NULL, &changed, &logins, &fault) < 0)
        return history_tell(NULL, &fault);
    if (logins > 0)
        (void)printf("%llu login%s and ", (unsigned long long)logins, logins == 1 ? "" : "s");
    return told(0, &fault, changed, "will not wait any longer");
}

/* Under its lock: a run may just have found a message listed again. *pruned grows. Returns the exit status. */
static int prune_one(struct chronicle *chronicle, const char *identity, uint64_t *pruned)
{
    uint64_t changed = 0;
    struct fault fault;
    int status = EX_OK;
    int lock = history_hold(chronicle, identity, &status);

    if (lock < 0)
        return status;
    if (history_prune(chronicle->history, identity, (int64_t)time(NULL) + 1, &changed, &fault) < 0)
        status = history_tell(NULL, &fault);
    lock_release(lock);
    *pruned += changed;
    return status;
}

int history_do_prune(struct chronicle *chronicle)
{
    struct mailboxes all = {.from = NULL};
    uint64_t pruned = 0;
    struct fault fault;
    int status = EX_OK;
    size_t i;

    if (!history_may(chronicle->options, "Forget all messages that are in no mailbox any more?"))
        return EX_OK;
    if (history_summaries(chronicle->history, 0, collect, &all, &fault) < 0)
        status = history_tell(NULL, &fault);
    for (i = 0; i < all.count; i++) {
        int result = prune_one(chronicle, all.identities[i], &pruned);
        if (result != EX_OK && status != fault_exit_status(FAULT_STATE))
            status = result;
    }
    free_mailboxes(&all);
    if (status == EX_OK || pruned > 0)
        (void)told(0, NULL, pruned, "forgotten that no mailbox lists any more");
    return status;
}

/* A history without a fault is not lost by a slip, and with it the knowledge of what was kept. */
static bool is_sound(const char *state_dir)
{
    struct history *history = NULL;
    struct fault fault;
    char path[4096];
    bool sound;

    if ((size_t)snprintf(path, sizeof(path), "%s/history.db", state_dir) >= sizeof(path) ||
        access(path, F_OK) < 0)
        return false;
    sound = history_open(&history, state_dir, HISTORY_READ, &fault) == 0 &&
            history_examine(history, &fault) == 0;
    history_close(history);
    return sound;
}

int history_do_reset(const struct options *options, const char *state_dir)
{
    struct fault fault;
    char moved_to[4096];

    if (is_sound(state_dir)) {
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_USAGE, "history",
                        "the history in %.300s is not damaged, so it is not moved aside; to fetch a message again, "
                        "use --forget=UIDL; to begin anew all the same, move history.db* away by hand",
                        state_dir);
        return history_tell(NULL, &fault);
    }
    if (!history_may(options,
                     "Move the history in %s aside? All mail that is still in the mailboxes is new then, "
                     "also what was kept.",
                     state_dir))
        return EX_OK;
    if (history_reset(state_dir, moved_to, sizeof(moved_to), &fault) < 0)
        return history_tell(NULL, &fault);
    (void)printf("The history is now %s; the next run begins a new one.\n", moved_to);
    return EX_OK;
}

/* ---- --move ---- */

/* "User@HOST:995" as the history names it: host in lower case, the usual ports left out. For a host alone
 * likewise. */
static int normalize(const char *name, char dst[IDENTITY_MAX])
{
    char *host;
    char *port;
    char *at;

    if ((size_t)snprintf(dst, IDENTITY_MAX, "%s", name) >= IDENTITY_MAX)
        return -1;
    at = strrchr(dst, '@');
    host = at != NULL ? at + 1 : dst;
    port = strrchr(host, ':');
    if (port != NULL && (strcmp(port, ":995") == 0 || strcmp(port, ":110") == 0))
        *port = '\0';
    if (host[0] == '\0' || at == dst)
        return -1;
    for (; *host != '\0'; host++) {
        if (isspace((unsigned char)*host))
            return -1;
        *host = (char)tolower((unsigned char)*host);
    }
    return 0;
}

/* Under both locks: no run may write to either meanwhile. */
static int move_one(struct chronicle *chronicle, const char *from, const char *to, int *status)
{
    uint64_t changed = 0;
    struct fault fault;
    int second = -1;
    int result = -1;
    int first = history_hold(chronicle, from, status);

    if (first >= 0)
        second = history_hold(chronicle, to, status);
    if (second >= 0) {
        /* The tokens first: after a kill between the two the same command finishes it. */
        result = oauth_move(chronicle->state_dir, from, to, &fault);
        if (result == 0)
            result = history_move(chronicle->history, from, to, &changed, &fault);
        if (result < 0)
            *status = history_tell(NULL, &fault);
        else
            (void)printf("%s is now %s: %llu message%s\n", from, to, (unsigned long long)changed,
                         changed == 1 ? "" : "s");
    }
    lock_release(second);
    lock_release(first);
    return result;
}

static int move_all(struct chronicle *chronicle, const struct mailboxes *moving, const char *to)
{
    char target[IDENTITY_MAX];
    int status = EX_OK;
    size_t i;

    for (i = 0; i < moving->count; i++) {
        const char *from = moving->identities[i];
        size_t user = moving->host ? (size_t)(strrchr(from, '@') - from) + 1 : 0;
        if ((size_t)snprintf(target, sizeof(target), "%.*s%s", (int)user, from, to) >= sizeof(target))
            return unknown("too long a name:", to, "");
        if (strcmp(from, target) != 0 && move_one(chronicle, from, target, &status) < 0)
            return status;
    }
    return status;
}

int history_do_move(struct chronicle *chronicle)
{
    const char *const *names = chronicle->options->arguments;
    struct mailboxes moving = {.from = NULL};
    char from[IDENTITY_MAX];
    char to[IDENTITY_MAX];
    struct fault fault;
    int status;

    if (normalize(names[0], from) < 0 || normalize(names[1], to) < 0 ||
        (strchr(from, '@') == NULL) != (strchr(to, '@') == NULL))
        return unknown("--move takes two mailboxes (username@host) or two host names, not", names[0], "");
    moving.from = from;
    moving.host = strchr(from, '@') == NULL;
    if (history_summaries(chronicle->history, 0, collect, &moving, &fault) < 0)
        status = history_tell(NULL, &fault);
    else if (moving.count == 0)
        status = unknown(moving.host ? "the history knows no mailbox on" : "the history knows no mailbox",
                         from, "");
    else if (!history_may(chronicle->options, "Move what is known of %s to %s (%zu mailbox%s)?", from, to,
                          moving.count, moving.count == 1 ? "" : "es"))
        status = EX_OK;
    else
        status = move_all(chronicle, &moving, to);
    free_mailboxes(&moving);
    return status;
}
