/* popferry history: what is remembered, and changes to it by hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/history_private.h"
#include "store/state_dir.h"

/* ---- the command line ---- */

/* A change: its option, whether it is asked for, and how many arguments it takes. */
struct change {
    const char *option;
    bool wanted;
    int least;
    int most;
    int (*make)(struct chronicle *chronicle);
};

#define CHANGES 6

static void list_changes(const struct options *options, struct change changes[CHANGES])
{
    const struct change all[CHANGES] = {
        {"--forget", options->forget != NULL, 1, 1, history_do_forget},
        {"--seen", options->seen, 1, 1, history_do_seen},
        {"--retry", options->retry, 0, 1, history_do_retry},
        {"--prune", options->prune, 0, 0, history_do_prune},
        {"--move", options->move_from != NULL, 2, 2, history_do_move},
        {"--reset", options->reset, 0, 0, NULL},
    };

    memcpy(changes, all, sizeof(all));
}

static int usage(const char *fmt, const char *option, const char *more)
{
    struct fault fault;
    char text[256];

    (void)snprintf(text, sizeof(text), "%s%s%s", option, fmt, more);
    (void)fault_set(&fault, FAULT_OF_RUN, FAULT_USAGE, "history", "%s", text);
    return history_tell(NULL, &fault);
}

/* The one change that is wanted, or none. Returns 0 or an exit status. */
static int choose(const struct options *options, struct change changes[CHANGES], const struct change **chosen)
{
    static const char *const takes[] = {" takes no arguments", " takes one account",
                                        " takes an old and a new name"};
    size_t i;

    *chosen = NULL;
    list_changes(options, changes);
    for (i = 0; i < CHANGES; i++) {
        if (changes[i].wanted && *chosen != NULL)
            return usage(" cannot be combined with ", changes[i].option, (*chosen)->option);
        if (changes[i].wanted)
            *chosen = &changes[i];
    }
    if (*chosen == NULL)
        return options->argument_count <= 1 ? 0 : usage(" lists one account, or all", "history", "");
    if (options->state != NULL || options->since != NULL || options->search != NULL || options->json)
        return usage(" changes the history; --state, --since, --search and --json list it", (*chosen)->option,
                     "");
    if (options->argument_count < (*chosen)->least || options->argument_count > (*chosen)->most)
        return usage(takes[(*chosen)->most], (*chosen)->option, "");
    /* A program that calls us cannot be asked. */
    if (!options->yes && isatty(STDIN_FILENO) != 1)
        return usage(" changes the history: without a terminal it needs --yes", (*chosen)->option, "");
    return 0;
}

/* ---- names ---- */

int history_tell(const char *account, const struct fault *fault)
{
    log_fault(account, fault);
    return fault_exit_status(fault->class);
}

const struct config_account *history_account(const struct config *config, const char *identity)
{
    size_t i;

    for (i = 0; i < config->account_count; i++) {
        if (strcmp(config->accounts[i].identity, identity) == 0)
            return &config->accounts[i];
    }
    return NULL;
}

struct search {
    const char *identity;
    bool found;
};

static int compare(void *context, const struct history_summary *summary)
{
    struct search *search = context;

    search->found = search->found || strcmp(summary->identity, search->identity) == 0;
    return 0;
}

const char *history_identity(struct chronicle *chronicle, const char *account, char identity[IDENTITY_MAX])
{
    const struct config_account *known = config_find_account(chronicle->config, account);
    struct search search = {.identity = account};
    struct fault fault;

    (void)snprintf(identity, IDENTITY_MAX, "%s", known != NULL ? known->identity : account);
    if (known != NULL)
        return identity;
    if (history_summaries(chronicle->history, 0, compare, &search, &fault) < 0) {
        (void)history_tell(NULL, &fault);
        return NULL;
    }
    if (search.found)
        return identity;
    (void)fault_set(&fault, FAULT_OF_RUN, FAULT_USAGE, "history",
                    "there is no account \"%s\" in %s, and the history knows no such mailbox", account,
                    chronicle->config->path);
    (void)history_tell(NULL, &fault);
    return NULL;
}

/* ---- the command ---- */

static int open_and_run(struct chronicle *chronicle, const struct change *change)
{
    struct fault fault;
    int status;

    if ((change != NULL && state_dir_open(chronicle->state_dir, 1, &fault) < 0) ||
        history_open(&chronicle->history, chronicle->state_dir, change != NULL ? HISTORY_WRITE : HISTORY_READ,
                     &fault) < 0)
        return history_tell(NULL, &fault);
    status = change != NULL ? change->make(chronicle) : history_list(chronicle);
    history_close(chronicle->history);
    return status;
}

int command_history(const struct options *options)
{
    struct change changes[CHANGES];
    const struct change *chosen;
    struct chronicle chronicle;
    struct config config;
    char *state_dir;
    int status = choose(options, changes, &chosen);

    if (status != 0)
        return status;
    status = command_load(options, &config);
    if (status != 0)
        return status;
    state_dir = command_state_dir(options, &config);
    chronicle = (struct chronicle){.options = options, .config = &config, .state_dir = state_dir};
    if (state_dir == NULL)
        status = fault_exit_status(FAULT_STATE);
    else if (chosen != NULL && chosen->make == NULL)
        status = history_do_reset(options, state_dir);
    else
        status = open_and_run(&chronicle, chosen);
    free(state_dir);
    config_free(&config);
    return status;
}
