#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "commands/commands.h"
#include "poll/poll.h"
#include "protocol/wire.h"
#include "report/log.h"
#include "store/history.h"
#include "store/state_dir.h"

#define NAMES_MAX 4096

/* Which of `shards` shares an account belongs to, from 1: a digest, so that it does not depend on the other accounts. */
static unsigned shard_of(const struct config_account *account, unsigned shards)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    uint64_t number = 0;
    size_t i;

    if (EVP_Digest(account->identity, strlen(account->identity), digest, NULL, EVP_sha256(), NULL) != 1)
        return 1;
    for (i = 0; i < sizeof(number); i++)
        number = number << 8 | digest[i];
    return (unsigned)(number % shards) + 1;
}

static bool in_shard(const struct options *options, const struct config_account *account)
{
    return options->shards == 0 || shard_of(account, options->shards) == options->shard;
}

/* The accounts that the command line names, or all that are enabled. Returns 0 or an exit status. */
static int choose(const struct options *options, const struct config *config, const struct config_account **accounts,
                  size_t *count)
{
    size_t i;
    size_t j;

    *count = 0;
    for (i = 0; options->argument_count == 0 && i < config->account_count; i++) {
        if (config->accounts[i].enabled && in_shard(options, &config->accounts[i]))
            accounts[(*count)++] = &config->accounts[i];
    }
    for (i = 0; i < (size_t)options->argument_count; i++) {
        const struct config_account *account = config_find_account(config, options->arguments[i]);
        if (account == NULL) {
            log_line(LOG_LEVEL_ERROR, NULL, "there is no account \"%s\" in %s", options->arguments[i], config->path);
            return EX_USAGE;
        }
        for (j = 0; j < *count && accounts[j] != account; j++)
            continue;
        if (j == *count)
            accounts[(*count)++] = account;
    }
    return 0;
}

/* A fault that keeps all of them from being polled. */
static int fail(const struct config_account *const *accounts, size_t count, const struct fault *fault)
{
    struct buf names;
    size_t i;

    buf_init(&names, NAMES_MAX);
    for (i = 0; i < count; i++) {
        if (buf_printf(&names, "%s%s", i > 0 ? ", " : "", accounts[i]->peer.title) < 0) {
            (void)buf_puts(&names, ", ...");
            break;
        }
    }
    log_fault(names.data, fault);
    buf_free(&names);
    return fault_exit_status(fault->class);
}

static int open_history(const struct options *options, const char *state_dir, struct history **history,
                        struct fault *fault)
{
    bool dry = options->dry_run;

    if (!dry && state_dir_open(state_dir, 1, fault) < 0)
        return -1;
    return history_open(history, state_dir, dry ? HISTORY_READ : HISTORY_WRITE, fault);
}

static int run(const struct options *options, const struct config *config, const struct config_account *const *accounts,
               size_t count, const char *state_dir)
{
    struct poll_params params = {.config = config,
                                 .accounts = accounts,
                                 .account_count = count,
                                 .state_dir = state_dir,
                                 .named = options->argument_count > 0,
                                 .all_sizes = options->all_sizes,
                                 .dry_run = options->dry_run,
                                 .quiet = options->quiet};
    struct fault fault;
    int status;

    if (wire_global_init(&fault) < 0)
        return fail(accounts, count, &fault);
    status = open_history(options, state_dir, &params.history, &fault) < 0 ? fail(accounts, count, &fault)
                                                                            : poll_run(&params);
    history_close(params.history);
    wire_global_cleanup();
    return status;
}

int command_run(const struct options *options)
{
    struct config config;
    const struct config_account **accounts;
    char *state_dir;
    size_t count;
    int status = command_load(options, &config);

    if (status != 0)
        return status;
    accounts = calloc(config.account_count + (size_t)options->argument_count + 1, sizeof(*accounts));
    state_dir = command_state_dir(options, &config);
    if (accounts == NULL || state_dir == NULL)
        status = accounts == NULL ? EX_SOFTWARE : EX_IOERR;
    else
        status = choose(options, &config, accounts, &count);
    if (status == 0)
        status = run(options, &config, accounts, count, state_dir);
    free(state_dir);
    free(accounts);
    config_free(&config);
    return status;
}
