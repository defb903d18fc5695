/* popferry status: how each account fares, for people and monitors. */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "commands/commands.h"
#include "commands/status_private.h"
#include "store/state_dir.h"

static int by_identity(const void *a, const void *b)
{
    const struct status_row *const *x = a;
    const struct status_row *const *y = b;

    return strcmp((*x)->account->identity, (*y)->account->identity);
}

/* Thousands of mailboxes come here: none looks at all accounts. */
static int take(void *context, const struct history_summary *summary)
{
    struct status_table *table = context;
    size_t low = 0;
    size_t high = table->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(table->sorted[middle]->account->identity, summary->identity) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    /* An account may have been named twice. */
    for (; low < table->count && strcmp(table->sorted[low]->account->identity, summary->identity) == 0;
         low++) {
        table->sorted[low]->summary = *summary;
        table->sorted[low]->known = true;
    }
    return 0;
}

static int read_history(struct status_table *table, const char *state_dir)
{
    struct history *history;
    struct fault fault;
    int result;

    if (history_open(&history, state_dir, HISTORY_READ, &fault) < 0) {
        log_fault(NULL, &fault);
        return fault_exit_status(fault.class);
    }
    result = history_summaries(history, table->now, take, table, &fault);
    history_close(history);
    if (result == 0)
        return 0;
    log_fault(NULL, &fault);
    return fault_exit_status(fault.class);
}

/* EX_TEMPFAIL: an account did not succeed within stale_after. */
static int judge(struct status_table *table)
{
    int status = EX_OK;
    size_t i;

    for (i = 0; i < table->count; i++) {
        struct status_row *row = &table->rows[i];
        row->healthy = !row->account->enabled || (row->known && row->summary.mailbox.last_success >=
                                                                    table->now - table->config->stale_after);
        if (!row->healthy)
            status = EX_TEMPFAIL;
    }
    return status;
}

/* The accounts that are named, or all. Returns 0 or an exit status. */
static int choose(const struct options *options, struct status_table *table)
{
    const struct config *config = table->config;
    size_t named = (size_t)options->argument_count;
    size_t i;

    table->count = named > 0 ? named : config->account_count;
    table->rows = calloc(table->count + 1, sizeof(*table->rows));
    table->sorted = calloc(table->count + 1, sizeof(struct status_row *));
    if (table->rows == NULL || table->sorted == NULL)
        return EX_SOFTWARE;
    for (i = 0; i < table->count; i++) {
        table->rows[i].account =
            named > 0 ? command_find_account(config, options->arguments[i]) : &config->accounts[i];
        if (table->rows[i].account == NULL)
            return EX_USAGE;
        table->sorted[i] = &table->rows[i];
    }
    qsort(table->sorted, table->count, sizeof(struct status_row *), by_identity);
    return 0;
}

int command_status(const struct options *options)
{
    struct config config;
    struct status_table table = {.config = &config, .now = (int64_t)time(NULL)};
    char *state_dir;
    int status = command_load(options, &config);

    if (status != 0)
        return status;
    state_dir = command_state_dir(options, &config);
    status = state_dir == NULL ? EX_IOERR : choose(options, &table);
    if (status == 0)
        status = read_history(&table, state_dir);
    if (status == 0) {
        status = judge(&table);
        if (options->json)
            status_print_json(&table);
        else
            status_print(&table, options->quiet);
    }
    free(table.sorted);
    free(table.rows);
    free(state_dir);
    config_free(&config);
    return status;
}
