#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "commands/commands.h"
#include "report/human.h"
#include "store/history.h"
#include "store/state_dir.h"

#define DAYS 7

/* One account beside what the history knows of its mailbox. */
struct row {
    const struct config_account *account;
    struct history_summary summary;
    bool known;
    bool healthy; /* succeeded within stale_after */
};

struct table {
    const struct config *config;
    struct row *rows;
    size_t count;
};

static int take(void *context, const struct history_summary *summary)
{
    struct table *table = context;
    size_t i;

    for (i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].account->identity, summary->identity) == 0) {
            table->rows[i].summary = *summary;
            table->rows[i].known = true;
        }
    }
    return 0;
}

static const char *format_time(int64_t when, char *dst, size_t size)
{
    struct tm local;
    time_t at = (time_t)when;

    if (when == 0)
        return "never";
    (void)localtime_r(&at, &local);
    (void)strftime(dst, size, "%F %H:%M", &local);
    return dst;
}

/* The last seven days as a bar chart, one column a day. */
static void print_chart(const uint64_t days[DAYS])
{
    static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    uint64_t most = 0;
    size_t i;

    for (i = 0; i < DAYS; i++)
        most = days[i] > most ? days[i] : most;
    for (i = 0; i < DAYS; i++)
        (void)fputs(days[i] == 0 ? "·" : bars[1 + days[i] * 7 / most], stdout);
}

static void print_waits(const struct history_mailbox *mailbox, int64_t now)
{
    char when[32];

    if (mailbox->login_retry_at > now)
        (void)printf("  left alone      until %s, after %u refused logins\n",
                     format_time(mailbox->login_retry_at, when, sizeof(when)), mailbox->login_refusals);
    if (mailbox->poll_not_before > now)
        (void)printf("  next poll       not before %s (LOGIN-DELAY)\n",
                     format_time(mailbox->poll_not_before, when, sizeof(when)));
}

static void print_row(const struct row *row, int64_t now)
{
    const struct history_summary *summary = &row->summary;
    uint64_t week_messages = 0;
    uint64_t week_octets = 0;
    char a[HUMAN_SIZE];
    char b[HUMAN_SIZE];
    char c[HUMAN_SIZE];
    size_t i;

    (void)printf("%s  %s\n", row->account->peer.title, row->account->enabled ? row->account->identity : "(not enabled)");
    (void)printf("  last success    %s%s\n", format_time(summary->mailbox.last_success, a, sizeof(a)),
                 row->healthy ? "" : "  STALE");
    if (summary->mailbox.last_fault[0] != '\0')
        (void)printf("  last fault      %s  %s\n", format_time(summary->mailbox.last_fault_time, a, sizeof(a)),
                     summary->mailbox.last_fault);
    print_waits(&summary->mailbox, now);
    if (!row->known)
        return;
    for (i = 0; i < DAYS; i++) {
        week_messages += summary->week_messages[i];
        week_octets += summary->week_octets[i];
    }
    (void)printf("  messages        last run %llu (%s), day %llu (%s), week %llu (%s)",
                 (unsigned long long)summary->run_messages, human_octets(a, summary->run_octets),
                 (unsigned long long)summary->day_messages, human_octets(b, summary->day_octets),
                 (unsigned long long)week_messages, human_octets(c, week_octets));
    if (isatty(STDOUT_FILENO) && week_messages > 0) {
        (void)fputs("  ", stdout);
        print_chart(summary->week_messages);
    }
    (void)printf("\n  on the server   %llu waiting, %llu refused, %llu quarantined, %llu deletions owed\n",
                 (unsigned long long)summary->waiting, (unsigned long long)summary->refused,
                 (unsigned long long)summary->quarantined, (unsigned long long)summary->owed_deletions);
}

static json_t *json_of(const struct row *row)
{
    const struct history_summary *summary = &row->summary;
    json_t *week = json_array();
    size_t i;

    for (i = 0; i < DAYS; i++)
        (void)json_array_append_new(week, json_pack("{s:I, s:I}", "messages", (json_int_t)summary->week_messages[i],
                                                    "octets", (json_int_t)summary->week_octets[i]));
    return json_pack("{s:s, s:s, s:b, s:b, s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
                     "account", row->account->peer.title, "mailbox", row->account->identity, "enabled",
                     (int)row->account->enabled, "healthy", (int)row->healthy, "last_success",
                     (json_int_t)summary->mailbox.last_success, "last_fault_time",
                     (json_int_t)summary->mailbox.last_fault_time, "last_fault", summary->mailbox.last_fault,
                     "last_fault_class", summary->mailbox.last_fault_class, "login_retry_at",
                     (json_int_t)summary->mailbox.login_retry_at, "poll_not_before",
                     (json_int_t)summary->mailbox.poll_not_before, "run_messages", (json_int_t)summary->run_messages,
                     "run_octets", (json_int_t)summary->run_octets, "day_messages", (json_int_t)summary->day_messages,
                     "day_octets", (json_int_t)summary->day_octets, "waiting", (json_int_t)summary->waiting, "refused",
                     (json_int_t)summary->refused, "quarantined", (json_int_t)summary->quarantined, "owed_deletions",
                     (json_int_t)summary->owed_deletions, "week", week);
}

static void print_json(const struct table *table)
{
    json_t *all = json_array();
    size_t i;

    for (i = 0; i < table->count; i++)
        (void)json_array_append_new(all, json_of(&table->rows[i]));
    (void)json_dumpf(all, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(all);
}

static int read_history(struct table *table, const char *state_dir, int64_t now)
{
    struct history *history;
    struct fault fault;
    int result;

    if (history_open(&history, state_dir, HISTORY_READ, &fault) < 0) {
        log_fault(NULL, &fault);
        return fault_exit_status(fault.class);
    }
    result = history_summaries(history, now, take, table, &fault);
    history_close(history);
    if (result == 0)
        return 0;
    log_fault(NULL, &fault);
    return fault_exit_status(fault.class);
}

/* EX_TEMPFAIL: an account did not succeed within stale_after. */
static int judge(struct table *table, int64_t now)
{
    int status = EX_OK;
    size_t i;

    for (i = 0; i < table->count; i++) {
        struct row *row = &table->rows[i];
        row->healthy = !row->account->enabled ||
                       (row->known && row->summary.mailbox.last_success >= now - table->config->stale_after);
        if (!row->healthy)
            status = EX_TEMPFAIL;
    }
    return status;
}

/* The accounts that are named, or all. Returns 0 or an exit status. */
static int choose(const struct options *options, const struct config *config, struct table *table)
{
    size_t named = (size_t)options->argument_count;
    size_t i;

    table->rows = calloc(config->account_count + named + 1, sizeof(*table->rows));
    if (table->rows == NULL)
        return EX_SOFTWARE;
    table->count = named > 0 ? named : config->account_count;
    for (i = 0; i < table->count; i++) {
        table->rows[i].account =
            named > 0 ? command_find_account(config, options->arguments[i]) : &config->accounts[i];
        if (table->rows[i].account == NULL)
            return EX_USAGE;
    }
    return 0;
}

int command_status(const struct options *options)
{
    struct config config;
    struct table table = {.config = &config};
    int64_t now = (int64_t)time(NULL);
    char *state_dir;
    size_t i;
    int status = command_load(options, &config);

    if (status != 0)
        return status;
    state_dir = command_state_dir(options, &config);
    status = state_dir == NULL ? EX_IOERR : choose(options, &config, &table);
    if (status == 0)
        status = read_history(&table, state_dir, now);
    if (status == 0) {
        status = judge(&table, now);
        if (options->json)
            print_json(&table);
        for (i = 0; !options->json && i < table.count; i++)
            print_row(&table.rows[i], now);
    }
    free(table.rows);
    free(state_dir);
    config_free(&config);
    return status;
}
