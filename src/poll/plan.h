/* The plan: listing x history x limits -> what to do with each message. Pure.
 *
 * Ownership: plan_free(); items point into the listing and the rows, which must outlive the plan. Threads:
 * any. Errors: -1 when memory is short. */
#ifndef POPFERRY_POLL_PLAN_H
#define POPFERRY_POLL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/pop3.h"
#include "store/history.h"

#define PLAN_DIGEST_UID "sha256:" /* the history's UID of a message that has none on the server */
#define PLAN_TOP_UID "top:"       /* the same, by the digest of its header */

enum plan_action {
    PLAN_RETRIEVE, /* new, or still owed to somebody: RETR and deliver */
    PLAN_COMPARE,  /* known UID, but another size, deleted already, or to be deleted after an absence: RETR;
                      equal: as known; else new mail. Where mail is kept: after any absence */
    PLAN_IDENTIFY, /* no UID, one that stands twice, or an unknown header: RETR, then look the digest up */
    PLAN_DELETE,   /* delivered and not kept: DELE only */
    PLAN_NOTICE,   /* over max_size: its header is delivered (TOP) */
    PLAN_KEEP,     /* delivered or seen, stays */
    PLAN_WAIT,     /* refused, its time has not come */
    PLAN_OVERSIZE, /* over max_size, stays */
    PLAN_LATER,    /* beyond max_messages */
};

struct plan_limits {
    bool keep;
    unsigned keep_days;     /* 0: none */
    uint64_t max_size;      /* octets, 0: none */
    bool notice;            /* oversize = "headers" */
    bool all_sizes;         /* --all-sizes */
    unsigned max_messages;  /* 0: none. Where mail is kept, only RETRIEVE counts: the others may be known */
    int64_t now;            /* seconds since the epoch */
    int64_t newest_receipt; /* a `now` before it is a wrong clock: nothing is deleted for its age */
};

struct plan_item {
    const struct pop3_entry *entry;
    const struct history_row *row; /* NULL: unknown */
    enum plan_action action;
    bool unread;  /* no UID, and LAST says that nobody has read it: it goes first */
};

struct plan {
    struct plan_item *items; /* in the order in which they are worked off: the oldest first, but what was
                                tried in vain behind what was tried less often, so that max_messages
                                starves nothing */
    size_t count;
    int64_t *present; /* rows to be marked as listed again / not listed any more */
    size_t present_count;
    int64_t *another; /* as present, and plan_another() */
    size_t another_count;
    int64_t *absent;
    size_t absent_count;
    size_t actions[PLAN_LATER + 1]; /* how many items of each kind */
    uint64_t work_octets;           /* listed octets of what will be retrieved */
    size_t work;                    /* items that will be retrieved */
};

int plan_make(struct plan *plan, const struct pop3_listing *listing, const struct history_rows *rows,
              const struct plan_limits *limits);
void plan_free(struct plan *plan);

/* Whether the message is over max_size. */
bool plan_oversize(const struct pop3_entry *entry, const struct plan_limits *limits);

/* Whether a UID that was not listed for a while came back with another size: another message has it now. Where
 * either size is unknown, that is not known. */
bool plan_another(const struct pop3_entry *entry, const struct history_row *row);

/* Whether its next try is not due yet: after its first refusal a message is tried again in the next run. now:
 * seconds since the epoch. */
bool plan_waits(const struct history_row *row, int64_t now);

/* Whether a message with this row may be deleted now: delivered, and not kept. */
bool plan_may_delete(const struct history_row *row, const struct plan_limits *limits);

/* The listing's usable UIDs, sorted by strcmp, each once and none that stands twice: what history_load()
 * wants. Entries whose UID stands twice lose it. Newly allocated array of borrowed strings; NULL with *count
 * 0 when there is none, -1 if memory is short. */
int plan_uids(struct pop3_listing *listing, const char ***uids, size_t *count);

#endif
