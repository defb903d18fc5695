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

/* Which of `shards` shares an account belongs to, from 1: a digest, so that it does not depend on the other
 * accounts. */
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

/* Of the accounts that nobody named, those of this share. */
static void keep_shard(const struct options *options, struct command_accounts *chosen)
{
    size_t kept = 0;
    size_t i;

    if (options->shards == 0 || options->argument_count > 0)
        return;
    for (i = 0; i < chosen->count; i++) {
        if (shard_of(chosen->accounts[i], options->shards) == options->shard)
            chosen->accounts[kept++] = chosen->accounts[i];
    }
    chosen->count = kept;
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

static int run(const struct options *options, const struct command_accounts *chosen)
{
    struct poll_params params = {.config = &chosen->config,
                                 .accounts = chosen->accounts,
                                 .account_count = chosen->count,
                                 .state_dir = chosen->state_dir,
                                 .named = options->argument_count > 0,
                                 .all_sizes = options->all_sizes,
                                 .dry_run = options->dry_run,
                                 .quiet = options->quiet};
    struct fault fault;
    int status;

    if (wire_global_init(&fault) < 0)
        return fail(chosen->accounts, chosen->count, &fault);
    status = open_history(options, chosen->state_dir, &params.history, &fault) < 0
                 ? fail(chosen->accounts, chosen->count, &fault)
                 : poll_run(&params);
    history_close(params.history);
    wire_global_cleanup();
    return status;
}

int command_run(const struct options *options)
{
    struct command_accounts chosen;
    int status = command_accounts(options, &chosen);

    if (status != 0)
        return status;
    if (chosen.config.account_count == 0) {
        log_line(LOG_LEVEL_ERROR, NULL, "there is no account in %s", chosen.config.path);
        status = EX_CONFIG;
    } else {
        keep_shard(options, &chosen);
        status = run(options, &chosen);
    }
    command_accounts_free(&chosen);
    return status;
}
