#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/utf8.h"
#include "commands/status_private.h"
#include "report/clean_json.h"
#include "report/human.h"
#include "report/progress_line.h"

#define DAYS 7
#define INDENT 18       /* columns before a fact */
#define HEADING_MAX 8192 /* octets of title and identity */
#define FACT_MAX 1024   /* octets of one */
#define COLUMNS_MIN 40  /* narrower terminals wrap by themselves */
#define CHART_MIN 60    /* as wide as the chart */

/* Where a terminal ends; 0: standard output is none. */
static size_t terminal_columns(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

/* "  label           fact", continued below itself where the terminal ends. */
static void print_fact(size_t columns, const char *label, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void print_fact(size_t columns, const char *label, const char *fmt, ...)
{
    char raw[FACT_MAX];
    char fact[FACT_MAX]; /* rows of older versions hold what a server sent */
    size_t at = INDENT;
    char *word;
    char *rest;
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(raw, sizeof(raw), fmt, args);
    va_end(args);
    (void)fault_quote(fact, sizeof(fact), raw, strlen(raw));
    (void)printf("  %-*s", INDENT - 2, label);
    if (columns < COLUMNS_MIN) {
        (void)printf("%s\n", fact);
        return;
    }
    for (word = strtok_r(fact, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        size_t width = progress_columns(word);
        if (at > INDENT && at + 1 + width >= columns) {
            (void)printf("\n%*s", INDENT, "");
            at = INDENT;
        }
        (void)printf("%s%s", at > INDENT ? " " : "", word);
        at += width + (at > INDENT ? 1 : 0);
    }
    (void)putchar('\n');
}

static const char *format_time(int64_t when, char *dst, size_t size)
{
    struct tm local;
    time_t at = (time_t)when;

    if (when == 0 || localtime_r(&at, &local) == NULL || strftime(dst, size, "%F %H:%M", &local) == 0)
        return "never";
    return dst;
}

/* The last seven days, a bar each; today is the last. */
static void print_chart(const struct status_table *table, const uint64_t days[DAYS])
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    time_t now = (time_t)table->now;
    struct tm local = {0};
    uint64_t most = 0;
    size_t i;

    (void)localtime_r(&now, &local);
    for (i = 0; i < DAYS; i++)
        most = days[i] > most ? days[i] : most;
    (void)printf("  %-*s", INDENT - 2, "day by day");
    for (i = 0; i < DAYS; i++)
        (void)printf("%s%s %s", i > 0 ? " " : "", names[((size_t)local.tm_wday + 1 + i) % DAYS],
                     days[i] == 0 ? "·" : bars[days[i] * 7 / most]);
    (void)putchar('\n');
}

static void print_waits(const struct history_mailbox *mailbox, int64_t now, size_t columns)
{
    char when[32];

    if (clock_waits(mailbox->login_retry_at, now))
        print_fact(columns, "left alone", "until %s, after %u refused login%s",
                   format_time(mailbox->login_retry_at, when, sizeof(when)), mailbox->login_refusals,
                   mailbox->login_refusals == 1 ? "" : "s");
    if (mailbox->poll_not_before > now)
        print_fact(columns, "next poll", "not before %s (LOGIN-DELAY)",
                   format_time(mailbox->poll_not_before, when, sizeof(when)));
}

static void print_figures(const struct status_table *table, const struct history_summary *summary,
                          size_t columns)
{
    uint64_t week_messages = 0;
    uint64_t week_octets = 0;
    char a[HUMAN_SIZE];
    char b[HUMAN_SIZE];
    char c[HUMAN_SIZE];
    size_t i;

    for (i = 0; i < DAYS; i++) {
        week_messages += summary->week_messages[i];
        week_octets += summary->week_octets[i];
    }
    print_fact(columns, "delivered", "last run %llu (%s), day %llu (%s), week %llu (%s)",
               (unsigned long long)summary->run_messages, human_octets(a, summary->run_octets),
               (unsigned long long)summary->day_messages, human_octets(b, summary->day_octets),
               (unsigned long long)week_messages, human_octets(c, week_octets));
    if (columns >= CHART_MIN && week_messages > 0 && human_utf8())
        print_chart(table, summary->week_messages);
    print_fact(columns, "undone", "%llu waiting, %llu refused, %llu quarantined, %llu deletions owed",
               (unsigned long long)summary->waiting, (unsigned long long)summary->refused,
               (unsigned long long)summary->quarantined, (unsigned long long)summary->owed_deletions);
}

/* On two lines where one would be longer than the terminal. */
static void print_heading(const struct config_account *account, size_t columns)
{
    struct buf line;
    size_t title;

    buf_init(&line, HEADING_MAX);
    (void)utf8_clean(&line, account->peer.title, strlen(account->peer.title));
    title = line.len;
    (void)buf_puts(&line, "  ");
    (void)utf8_clean(&line, account->identity, strlen(account->identity));
    (void)buf_puts(&line, account->enabled ? "" : "  (not enabled)");
    if (line.data != NULL && columns >= COLUMNS_MIN && progress_columns(line.data) >= columns)
        (void)printf("%.*s\n%s\n", (int)title, line.data, line.data + title);
    else if (line.data != NULL)
        (void)puts(line.data);
    buf_free(&line);
}

static void print_row(const struct status_table *table, const struct status_row *row, size_t columns)
{
    const struct history_mailbox *mailbox = &row->summary.mailbox;
    char when[32];

    print_heading(row->account, columns);
    print_fact(columns, "last success", "%s%s", format_time(mailbox->last_success, when, sizeof(when)),
               row->healthy ? "" : " STALE");
    if (mailbox->last_fault[0] != '\0')
        print_fact(columns, "last fault", "%s: %s", format_time(mailbox->last_fault_time, when, sizeof(when)),
                   mailbox->last_fault);
    print_waits(mailbox, table->now, columns);
    if (row->known)
        print_figures(table, &row->summary, columns);
}

void status_print(const struct status_table *table, bool stale_only)
{
    size_t columns = terminal_columns();
    size_t stale = 0;
    size_t i;

    for (i = 0; i < table->count; i++) {
        const struct status_row *row = &table->rows[i];
        stale += row->healthy ? 0 : 1;
        if (!stale_only || !row->healthy)
            print_row(table, row, columns);
    }
    if (table->count > 1 && stale > 0)
        (void)printf("%zu of %zu accounts %s STALE\n", stale, table->count, stale == 1 ? "is" : "are");
    else if (table->count > 1 && !stale_only)
        (void)printf("%zu accounts, all well\n", table->count);
}

static json_t *text(const char *octets)
{
    return clean_json(octets, strlen(octets));
}

static json_t *json_of(const struct status_row *row)
{
    const struct history_summary *summary = &row->summary;
    const struct history_mailbox *mailbox = &summary->mailbox;
    const struct {
        const char *key;
        uint64_t number;
    } numbers[] = {
        {"last_success", (uint64_t)mailbox->last_success},
        {"last_fault_time", (uint64_t)mailbox->last_fault_time},
        {"failed_runs", mailbox->failed_runs},
        {"login_retry_at", (uint64_t)mailbox->login_retry_at},
        {"poll_not_before", (uint64_t)mailbox->poll_not_before},
        {"run_messages", summary->run_messages},
        {"run_octets", summary->run_octets},
        {"day_messages", summary->day_messages},
        {"day_octets", summary->day_octets},
        {"waiting", summary->waiting},
        {"refused", summary->refused},
        {"quarantined", summary->quarantined},
        {"owed_deletions", summary->owed_deletions},
    };
    json_t *object = json_pack("{s:o, s:o, s:b, s:b, s:o, s:s}", "account", text(row->account->peer.title),
                               "mailbox", text(row->account->identity), "enabled", (int)row->account->enabled,
                               "healthy", (int)row->healthy, "last_fault", text(mailbox->last_fault),
                               "last_fault_class", mailbox->last_fault_class);
    json_t *week = json_array();
    size_t i;

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        (void)json_object_set_new(object, numbers[i].key, json_integer((json_int_t)numbers[i].number));
    for (i = 0; i < DAYS; i++)
        (void)json_array_append_new(week,
                                    json_pack("{s:I, s:I}", "messages", (json_int_t)summary->week_messages[i],
                                              "octets", (json_int_t)summary->week_octets[i]));
    (void)json_object_set_new(object, "week", week);
    return object;
}

void status_print_json(const struct status_table *table)
{
    json_t *all = json_array();
    size_t i;

    for (i = 0; i < table->count; i++)
        (void)json_array_append_new(all, json_of(&table->rows[i]));
    (void)json_dumpf(all, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(all);
}
