#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/pop3_private.h"

#define ENTRIES_MAX 1000000
#define UIDS_MAX (64 * 1024 * 1024)
#define LISTING_OCTETS_MAX (128 * 1024 * 1024) /* a million UIDs of RFC 1939's 70 octets fit */
#define CAPABILITIES_MAX 1000                  /* lines */
#define CAPABILITIES_OCTETS_MAX (1024 * 1024)
#define UNKNOWN UINT64_MAX

/* One usable line of LIST or UIDL. */
struct item {
    unsigned number;
    unsigned order; /* which line it was */
    uint64_t value; /* octets, or where the UID stands in `uids`; UNKNOWN: none */
};

struct items {
    struct item *item;
    size_t count, size;
    bool unsorted;
};

struct survey {
    struct pop3 *pop3;
    struct pop3_listing *listing;
    struct items sizes, uids;
    bool stat_known;
};

static int out_of_memory(const struct pop3 *pop3, struct fault *fault)
{
    return fault_set(fault, pop3->scope, FAULT_INTERNAL, "listing", "memory is short");
}

static int too_long(const struct pop3 *pop3, const char *stage, struct fault *fault)
{
    return fault_set(fault, pop3->scope, FAULT_PROTOCOL, stage, "%s answered %s with more than can be true",
                     pop3->host, stage);
}

static int add_item(struct survey *survey, struct items *items, uint64_t number, uint64_t value,
                    struct fault *fault)
{
    if (items->count == items->size) {
        size_t size = items->size == 0 ? 256 : items->size * 2;
        struct item *larger = realloc(items->item, size * sizeof(*larger));
        if (larger == NULL)
            return out_of_memory(survey->pop3, fault);
        items->item = larger;
        items->size = size;
    }
    if (items->count > 0 && items->item[items->count - 1].number >= number)
        items->unsorted = true;
    items->item[items->count] =
        (struct item){.number = (unsigned)number, .order = (unsigned)items->count, .value = value};
    items->count++;
    return 0;
}

/* ---- the answers ---- */

static bool is_number(uint64_t number)
{
    return number >= 1 && number <= INT_MAX;
}

static int take_size(struct survey *survey, const char *line, size_t len, struct fault *fault)
{
    uint64_t number, octets;
    bool has_octets;

    if (!pop3_parse_pair(line, len, &number, &octets, &has_octets) || !is_number(number))
        return 0;
    return add_item(survey, &survey->sizes, number, has_octets ? octets : UNKNOWN, fault);
}

static int take_uid(struct survey *survey, const char *line, size_t len, struct fault *fault)
{
    struct buf *uids = &survey->listing->uids;
    uint64_t at = uids->len;
    uint64_t number;
    const char *uid;
    size_t uid_len;

    if (!pop3_parse_uid(line, len, &number, &uid, &uid_len) || !is_number(number))
        return 0;
    if (uids->len + uid_len + 1 > uids->cap)
        return too_long(survey->pop3, "UIDL", fault);
    if (buf_append(uids, uid, uid_len) < 0 || buf_append(uids, "", 1) < 0)
        return out_of_memory(survey->pop3, fault);
    return add_item(survey, &survey->uids, number, at, fault);
}

static int take_capability(struct survey *survey, const char *line, size_t len, struct fault *fault)
{
    (void)fault;
    pop3_parse_capability(line, len, &survey->pop3->capabilities);
    return 0;
}

/* The lines of a multi-line answer up to the one with a dot alone. A line that is too long for any use is
 * passed over, but its octets count: a million of such lines would never end. */
static int read_lines(struct survey *survey, const char *stage, size_t most, uint64_t most_octets,
                      int (*take)(struct survey *, const char *, size_t, struct fault *), struct fault *fault)
{
    struct pop3 *pop3 = survey->pop3;
    uint64_t before = wire_received(pop3->wire);
    size_t count;
    char *line;
    size_t len;
    bool cut;

    wire_mark(pop3->wire);
    for (count = 0; count <= most && wire_received(pop3->wire) - before <= most_octets; count++) {
        if (wire_answer_line(pop3->wire, &line, &len, &cut, fault) < 0)
            return -1;
        if (len == 1 && line[0] == '.')
            return 0;
        if (!cut && take(survey, line, len, fault) < 0)
            return -1;
    }
    return too_long(pop3, stage, fault);
}

static int read_stat(struct survey *survey, struct fault *fault)
{
    struct pop3_listing *listing = survey->listing;
    struct pop3_status_line status;
    bool has_octets;

    if (pop3_read_status(survey->pop3, "STAT", 0, false, &status, fault) < 0)
        return -1;
    survey->stat_known =
        status.status == POP3_OK && pop3_parse_pair(status.text, status.text_len, &listing->stat_count,
                                                    &listing->stat_octets, &has_octets);
    if (!survey->stat_known)
        listing->stat_count = listing->stat_octets = 0;
    return 0;
}

/* Some old servers refuse to list an empty mailbox. */
static bool is_empty(const struct survey *survey)
{
    return survey->stat_known && survey->listing->stat_count == 0;
}

static int read_uidl(struct survey *survey, struct fault *fault)
{
    struct pop3 *pop3 = survey->pop3;
    struct pop3_status_line status;

    if (pop3_read_status(pop3, "UIDL", 0, false, &status, fault) < 0)
        return -1;
    if (status.status == POP3_OK) {
        survey->listing->has_uidl = true;
        return read_lines(survey, "UIDL", ENTRIES_MAX, LISTING_OCTETS_MAX, take_uid, fault);
    }
    if (!is_empty(survey) &&
        (pop3->capabilities.uidl || (status.code != POP3_CODE_NONE && status.code != POP3_CODE_OTHER)))
        return pop3_refused(pop3, "UIDL", "UIDL", false, &status, fault);
    return 0;
}

static int read_list(struct survey *survey, struct fault *fault)
{
    struct pop3_status_line status;

    if (pop3_read_status(survey->pop3, "LIST", 0, false, &status, fault) < 0)
        return -1;
    if (status.status == POP3_OK)
        return read_lines(survey, "LIST", ENTRIES_MAX, LISTING_OCTETS_MAX, take_size, fault);
    return is_empty(survey) ? 0 : pop3_refused(survey->pop3, "LIST", "LIST", false, &status, fault);
}

static int read_capa(struct survey *survey, struct fault *fault)
{
    struct pop3_status_line status;

    if (pop3_read_status(survey->pop3, "CAPA", 0, false, &status, fault) < 0)
        return -1;
    if (status.status != POP3_OK)
        return 0;
    survey->pop3->capabilities = (struct pop3_capabilities){.known = true};
    return read_lines(survey, "CAPA", CAPABILITIES_MAX, CAPABILITIES_OCTETS_MAX, take_capability, fault);
}

/* LAST (RFC 1225): a hint where there are no UIDs. */
static int ask_last(struct survey *survey, struct fault *fault)
{
    struct pop3 *pop3 = survey->pop3;
    struct pop3_status_line status;
    uint64_t number, octets;
    bool has_octets;

    if (pop3_quiet(pop3, fault) < 0 || wire_command(pop3->wire, fault, "LAST") < 0 ||
        pop3_read_status(pop3, "LAST", 0, false, &status, fault) < 0)
        return -1;
    if (status.status == POP3_OK &&
        pop3_parse_pair(status.text, status.text_len, &number, &octets, &has_octets) && is_number(number))
        survey->listing->last = (unsigned)number;
    return 0;
}

static int ask_all(struct survey *survey, struct fault *fault)
{
    static const struct {
        const char *command;
        int (*read)(struct survey *, struct fault *);
    } questions[] = {{"STAT", read_stat}, {"UIDL", read_uidl}, {"LIST", read_list}, {"CAPA", read_capa}};
    struct pop3 *pop3 = survey->pop3;
    bool batch = pop3_pipelining(pop3);
    size_t count = pop3->capabilities.known ? 4 : 3;
    size_t i;

    for (i = 0; batch && i < count; i++)
        if ((i == 0 && pop3_quiet(pop3, fault) < 0) ||
            wire_command(pop3->wire, fault, "%s", questions[i].command) < 0)
            return -1;
    for (i = 0; i < count; i++) {
        if (!batch &&
            (pop3_quiet(pop3, fault) < 0 || wire_command(pop3->wire, fault, "%s", questions[i].command) < 0))
            return -1;
        if (questions[i].read(survey, fault) < 0)
            return -1;
    }
    return survey->listing->has_uidl || survey->sizes.count == 0 ? 0 : ask_last(survey, fault);
}

/* ---- putting them together ---- */

static int by_number(const void *a, const void *b)
{
    const struct item *x = a;
    const struct item *y = b;

    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void sort_items(struct items *items)
{
    if (items->unsorted)
        qsort(items->item, items->count, sizeof(*items->item), by_number);
}

/* Of the lines for the number at *at: the first, with *at moved behind the last. */
static const struct item *next_size(const struct items *sizes, size_t *at)
{
    const struct item *first = &sizes->item[(*at)++];

    while (*at < sizes->count && sizes->item[*at].number == first->number)
        (*at)++;
    return first;
}

/* The same for UIDs; NULL where they differ. */
static const char *next_uid(const struct items *items, const char *uids, size_t *at)
{
    const struct item *first = &items->item[(*at)++];
    const char *uid = uids + first->value;
    bool same = true;

    for (; *at < items->count && items->item[*at].number == first->number; (*at)++)
        same = same && strcmp(uids + items->item[*at].value, uid) == 0;
    return same ? uid : NULL;
}

static int merge(struct survey *survey, struct fault *fault)
{
    struct pop3_listing *listing = survey->listing;
    const struct items *sizes = &survey->sizes;
    const struct items *uids = &survey->uids;
    size_t s = 0;
    size_t u = 0;

    sort_items(&survey->sizes);
    sort_items(&survey->uids);
    listing->entries = calloc(sizes->count + uids->count + 1, sizeof(*listing->entries));
    if (listing->entries == NULL)
        return out_of_memory(survey->pop3, fault);
    while (s < sizes->count || u < uids->count) {
        struct pop3_entry *entry = &listing->entries[listing->count++];
        unsigned size_number = s < sizes->count ? sizes->item[s].number : UINT_MAX;
        unsigned uid_number = u < uids->count ? uids->item[u].number : UINT_MAX;

        entry->number = size_number < uid_number ? size_number : uid_number;
        if (size_number == entry->number) {
            const struct item *size = next_size(sizes, &s);
            entry->has_octets = size->value != UNKNOWN;
            entry->octets = entry->has_octets ? size->value : 0;
        }
        if (uid_number == entry->number)
            entry->uid = next_uid(uids, listing->uids.data, &u);
    }
    if (listing->count == 0 && listing->stat_count > 0)
        return fault_set(fault, survey->pop3->scope, FAULT_PROTOCOL, "LIST",
                         "%s lists none of the %llu messages that STAT tells of",
                         survey->pop3->host, (unsigned long long)listing->stat_count);
    return listing->count > ENTRIES_MAX ? too_long(survey->pop3, "LIST", fault) : 0;
}

int pop3_list(struct pop3 *pop3, struct pop3_listing *listing, struct fault *fault)
{
    struct survey survey = {.pop3 = pop3, .listing = listing};
    int result;

    *listing = (struct pop3_listing){0};
    buf_init(&listing->uids, UIDS_MAX);
    if (pop3->owed > 0 || pop3->in_body)
        return fault_set(fault, pop3->scope, FAULT_INTERNAL, "listing",
                         "a listing is asked for within a window");
    result = ask_all(&survey, fault);
    if (result == 0)
        result = merge(&survey, fault);
    free(survey.sizes.item);
    free(survey.uids.item);
    if (result < 0)
        pop3_listing_free(listing);
    return result;
}

void pop3_listing_free(struct pop3_listing *listing)
{
    free(listing->entries);
    buf_free(&listing->uids);
    *listing = (struct pop3_listing){0};
}
