/* The commands: one file each. A command gets the parsed command line, does its work, and returns an exit
 * status of the contract (popferry(1)).
 *
 * Ownership: the options are borrowed for the call. Threads: the main one. Errors: told by the command
 * itself. */
#ifndef POPFERRY_COMMANDS_COMMANDS_H
#define POPFERRY_COMMANDS_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "config/config.h"
#include "report/log.h"

struct options {
    const char *config;    /* -c */
    const char *state_dir; /* --state-dir */
    bool dry_run;          /* -n */
    bool quiet;            /* -q */
    unsigned verbose;      /* -v, -vv */
    bool json;             /* --json */
    bool yes;              /* --yes */
    bool all_sizes;        /* --all-sizes */
    bool no_login;         /* --no-login */
    unsigned shard, shards; /* --shard K/N, 0/0: none; K from 1 */
    /* history */
    const char *forget;    /* --forget UIDL */
    bool seen;             /* --seen */
    bool retry;            /* --retry */
    bool prune;            /* --prune */
    const char *move_from; /* --move OLD NEW */
    const char *move_to;
    const char *state;     /* --state NAME */
    const char *since;     /* --since DATE or AGE */
    const char *search;    /* --search TEXT */
    bool reset;            /* --reset: move a damaged history aside */
    const char *const *arguments; /* accounts, files */
    int argument_count;
    struct buf *mistakes;  /* NULL, or where those of the fetchrc go as well, a line each */
    bool implied;          /* no command was written: the first argument may be meant for one ... */
    const char *guess;     /* ... namely this; NULL: hardly */
};

int command_run(const struct options *options);
int command_check(const struct options *options);
int command_status(const struct options *options);
int command_history(const struct options *options);
int command_import(const struct options *options);
int command_talk(const struct options *options);
int command_authorize(const struct options *options);

/* ---- what the commands share: commands/common.c ---- */

/* Load the fetchrc, telling its mistakes on standard error. Returns 0, or an exit status with nothing to
 * free. */
int command_load(const struct options *options, struct config *config);

/* The state directory's path (store/state_dir.h), newly allocated, or NULL with the fault told. */
char *command_state_dir(const struct options *options, const struct config *config);

/* The account of that title, or NULL with the mistake told (EX_USAGE). */
const struct config_account *command_find_account(const struct config *config, const char *title);

/* The accounts that the command line names, each once, or all that are enabled. */
struct command_accounts {
    struct config config;
    const struct config_account **accounts; /* in config */
    size_t count;
    char *state_dir;
};

/* Load the fetchrc and choose. Returns 0, the caller then frees, or an exit status with the fault told. */
int command_accounts(const struct options *options, struct command_accounts *chosen);
void command_accounts_free(struct command_accounts *chosen);

#endif
