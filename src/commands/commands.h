/* The commands: one file each. A command gets the parsed command line, does its work, and returns an exit status of the
 * contract. Threads: the main one. Errors are told by the command itself. */
#ifndef POPFERRY_COMMANDS_COMMANDS_H
#define POPFERRY_COMMANDS_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

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
    bool reset;            /* --reset: move an unreadable history aside */
    const char *const *arguments; /* accounts, files */
    int argument_count;
};

int command_run(const struct options *options);
int command_check(const struct options *options);
int command_status(const struct options *options);
int command_history(const struct options *options);
int command_import(const struct options *options);
int command_talk(const struct options *options);
int command_authorize(const struct options *options);

/* What the commands share (commands/common.c): load the fetchrc, telling its mistakes on standard error. Returns 0 or an exit status. */
int command_load(const struct options *options, struct config *config);

/* The state directory's path (store/state_dir.h), newly allocated, or NULL with the fault told. */
char *command_state_dir(const struct options *options, const struct config *config);

/* The account of that title, or NULL with the mistake told (EX_USAGE). */
const struct config_account *command_find_account(const struct config *config, const char *title);

#endif
