#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/utf8.h"
#include "commands/history_private.h"
#include "config/values.h"
#include "report/clean_json.h"
#include "report/human.h"
#include "report/log_form.h"

#define COLUMNS 80
#define UID_COLUMN 43
#define REPLY_MAX 4096

static const char *const state_names[] = {[HISTORY_LISTED] = "listed",
                                          [HISTORY_RECORDED] = "recorded",
                                          [HISTORY_GONE] = "gone",
                                          [HISTORY_SEEN] = "seen",
                                          [HISTORY_QUARANTINED] = "quarantined",
                                          [HISTORY_NOTICED] = "noticed"};

struct listing {
    const struct config *config;
    bool json;
    char last[IDENTITY_MAX]; /* the mailbox whose heading stands already */
    size_t count;
};

/* ---- what is asked for ---- */

static int wrong(const char *what, const char *value)
{
    struct fault fault;

    (void)fault_set(&fault, FAULT_OF_RUN, FAULT_USAGE, "history", "%s: %.200s", what, value);
    return history_tell(NULL, &fault);
}

static int parse_state(const char *name, struct history_filter *filter)
{
    size_t i;

    if (strcmp(name, "refused") == 0) {
        filter->refused_only = true;
        return 0;
    }
    for (i = 0; i < sizeof(state_names) / sizeof(state_names[0]); i++) {
        if (strcmp(name, state_names[i]) == 0) {
            filter->state = (int)i;
            return 0;
        }
    }
    return wrong("--state takes listed, recorded, gone, seen, noticed, quarantined or refused, not", name);
}

/* An age (7d) or a local date with or without a time. */
static int parse_since(const char *text, int64_t now, int64_t *since)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S",
                                        "%Y-%m-%dT%H:%M:%S"};
    uint64_t age;
    size_t i;

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm local = {.tm_isdst = -1};
        const char *end = strptime(text, forms[i], &local);
        if (end == NULL || *end != '\0')
            continue;
        local.tm_isdst = -1;
        *since = (int64_t)mktime(&local);
        return 0;
    }
    /* A number alone could be meant for a year. */
    if (text[strspn(text, "0123456789")] == '\0' || !value_time(text, &age) || age > (uint64_t)now)
        return wrong("--since takes a date such as 2026-03-01 or an age such as 7d or 12h, not", text);
    *since = now - (int64_t)age;
    return 0;
}

static const char *state_of(const struct history_row *row)
{
    return row->state == HISTORY_LISTED && row->refusals > 0 ? "refused" : state_names[row->state];
}

/* ---- the table ---- */

static void clean(struct buf *dst, const char *text)
{
    buf_init(dst, LOG_TEXT_MAX);
    if (text == NULL || utf8_clean(dst, text, strlen(text)) < 0 || dst->len == 0)
        (void)buf_puts(dst, "");
}

static void print_uid(const char *uid)
{
    struct buf text;

    clean(&text, uid);
    if (text.len <= COLUMNS - UID_COLUMN)
        (void)printf("  %s\n", text.data);
    else
        (void)printf("\n    %s\n", text.data); /* whole, to be copied */
    buf_free(&text);
}

/* One line of at most 80 columns; the rest is in the JSON form. */
static void print_cut(const char *label, const char *text)
{
    struct buf line;
    size_t room = COLUMNS - 4 - strlen(label);
    size_t len;

    clean(&line, text);
    len = line.len;
    if (len > room) {
        for (len = room - 3; len > 0 && ((unsigned char)line.data[len] & 0xC0) == 0x80; len--)
            continue;
    }
    (void)printf("    %s%.*s%s\n", label, (int)len, line.data != NULL ? line.data : "",
                 len < line.len ? "..." : "");
    buf_free(&line);
}

static const char *format_time(int64_t when, char *dst, size_t size)
{
    struct tm local;
    time_t at = (time_t)when;

    if (localtime_r(&at, &local) == NULL || strftime(dst, size, "%F %H:%M", &local) == 0)
        return "";
    return dst;
}

static void print_owed(const struct history_row *row)
{
    char when[32];
    char line[96];
    char *owed;
    char *at;

    if (row->owed != NULL && row->owed[0] != '\0' && (owed = strdup(row->owed)) != NULL) {
        for (at = owed; (at = strchr(at, '\n')) != NULL; at++)
            *at = ' ';
        print_cut("owed to ", owed);
        free(owed);
    }
    if (row->refusals == 0 && row->stumbles == 0)
        return;
    if (row->reply != NULL && row->reply[0] != '\0')
        print_cut("", row->reply);
    if (clock_waits(row->retry_at, (int64_t)time(NULL))) {
        (void)snprintf(line, sizeof(line), "refused %u times, next try not before %s", row->refusals,
                       format_time(row->retry_at, when, sizeof(when)));
        print_cut("", line);
    }
}

static void print_heading(const struct listing *listing, const char *title, const char *identity)
{
    bool fits = title == NULL || strlen(title) + 2 + strlen(identity) <= COLUMNS;
    struct buf name, box;

    clean(&name, title);
    clean(&box, identity);
    (void)printf("%s%s%s%s\n", listing->count > 0 ? "\n" : "", name.data,
                 title == NULL ? "" : fits ? "  " : "\n  ", box.data);
    buf_free(&name);
    buf_free(&box);
}

static void print_row(struct listing *listing, const char *identity, const struct history_row *row)
{
    const struct config_account *account;
    char when[32];
    char octets[HUMAN_SIZE];

    if (strcmp(listing->last, identity) != 0) {
        account = history_account(listing->config, identity);
        print_heading(listing, account != NULL ? account->peer.title : NULL, identity);
        (void)snprintf(listing->last, sizeof(listing->last), "%s", identity);
    }
    (void)printf("  %-16s  %-11s  %8s",
                 format_time(row->delivered != 0 ? row->delivered : row->first_seen, when, sizeof(when)),
                 state_of(row), row->octets > 0 ? human_octets(octets, row->octets) : "-");
    print_uid(row->uid);
    print_owed(row);
}

/* ---- for programs ---- */

static void put_text(json_t *object, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0')
        (void)json_object_set_new(object, name, clean_json(text, strlen(text)));
}

static void put_owed(json_t *object, const char *owed)
{
    json_t *list = json_array();

    while (owed != NULL && *owed != '\0') {
        size_t len = strcspn(owed, "\n");
        (void)json_array_append_new(list, clean_json(owed, len));
        owed += len + (owed[len] == '\n');
    }
    (void)json_object_set_new(object, "owed", list);
}

static void put_digest(json_t *object, const unsigned char digest[32])
{
    char hex[HEX_SIZE(32)];

    hex_write(hex, digest, 32);
    (void)json_object_set_new(object, "sha256", json_string(hex));
}

/* Row by row: 100,000 of them need not be in memory at once. */
static void print_json(struct listing *listing, const char *identity, const struct history_row *row)
{
    const struct config_account *account = history_account(listing->config, identity);
    json_t *object = json_object();

    if (account != NULL)
        put_text(object, "account", account->peer.title);
    put_text(object, "mailbox", identity);
    put_text(object, "uidl", row->uid);
    put_text(object, "state", state_of(row));
    (void)json_object_set_new(object, "size", json_integer((json_int_t)row->octets));
    (void)json_object_set_new(object, "first_seen", json_integer((json_int_t)row->first_seen));
    (void)json_object_set_new(object, "delivered", json_integer((json_int_t)row->delivered));
    (void)json_object_set_new(object, "listed", json_boolean(!row->absent));
    put_owed(object, row->owed);
    (void)json_object_set_new(object, "refusals", json_integer((json_int_t)row->refusals));
    (void)json_object_set_new(object, "stumbles", json_integer((json_int_t)row->stumbles));
    (void)json_object_set_new(object, "retry_at", json_integer((json_int_t)row->retry_at));
    put_text(object, "reply", row->reply);
    if (row->has_digest)
        put_digest(object, row->digest);
    (void)fputs(listing->count > 0 ? ",\n " : "[\n ", stdout);
    (void)json_dumpf(object, stdout, 0);
    json_decref(object);
}

/* ---- the list ---- */

static int take(void *context, const char *identity, const struct history_row *row)
{
    struct listing *listing = context;

    if (listing->json)
        print_json(listing, identity, row);
    else
        print_row(listing, identity, row);
    listing->count++;
    return 0;
}

int history_list(struct chronicle *chronicle)
{
    const struct options *options = chronicle->options;
    struct history_filter filter = {.state = -1, .search = options->search};
    struct listing listing = {.config = chronicle->config, .json = options->json};
    char identity[IDENTITY_MAX];
    struct fault fault;
    int status = 0;

    if (options->state != NULL)
        status = parse_state(options->state, &filter);
    if (status == 0 && options->since != NULL)
        status = parse_since(options->since, (int64_t)time(NULL), &filter.since);
    if (status == 0 && options->argument_count == 1) {
        filter.identity = history_identity(chronicle, options->arguments[0], identity);
        status = filter.identity == NULL ? EX_USAGE : 0;
    }
    if (status != 0)
        return status;
    if (history_each(chronicle->history, &filter, take, &listing, &fault) < 0)
        return history_tell(NULL, &fault);
    if (options->json)
        (void)puts(listing.count > 0 ? "\n]" : "[]");
    else
        (void)printf("%s%zu message%s\n", listing.count > 0 ? "\n" : "", listing.count,
                     listing.count == 1 ? "" : "s");
    return EX_OK;
}
