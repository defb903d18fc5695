/* popferry authorize ACCOUNT: the OAuth2 login by hand. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "commands/commands.h"
#include "config/secret.h"
#include "poll/connect.h"
#include "protocol/oauth.h"

static int tell(const char *account, const struct fault *fault)
{
    log_fault(account, fault);
    return fault_exit_status(fault->class);
}

static int login(const struct config *config, const struct config_account *account, const char *state_dir,
                 const char *refresh_token)
{
    struct oauth_params params;
    struct fault fault;

    connect_oauth_params(config, account, state_dir, &params);
    params.refresh_token = refresh_token;
    if (oauth_authorize(&params, stdin, stdout, &fault) < 0)
        return tell(account->peer.title, &fault);
    (void)printf("\nThe token is stored. Try it: popferry check %s\n", account->peer.title);
    return 0;
}

static int authorize(const struct options *options, const struct config *config)
{
    const struct config_account *account = config_find_account(config, options->arguments[0]);
    struct buf refresh_token;
    struct fault fault;
    char *state_dir;
    int status;

    if (account == NULL) {
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_USAGE, "authorize", "there is no account \"%s\" in %s",
                        options->arguments[0], config->path);
        return tell(NULL, &fault);
    }
    if (account->oauth == NULL) {
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_CONFIG, "authorize",
                        "logs in without OAuth2: it has no `oauth` in %s", config->path);
        return tell(account->peer.title, &fault);
    }
    state_dir = command_state_dir(options, config);
    if (state_dir == NULL)
        return fault_exit_status(FAULT_STATE);
    /* A refresh token in the fetchrc stands behind the one that comes now, until it is changed itself. */
    buf_init(&refresh_token, OAUTH_TOKEN_MAX);
    if (secret_is_set(&account->peer.secret) &&
        secret_get(&account->peer.secret, config->timeout, &refresh_token, &fault) < 0)
        status = tell(account->peer.title, &fault);
    else
        status = login(config, account, state_dir, refresh_token.len > 0 ? refresh_token.data : NULL);
    buf_free(&refresh_token);
    free(state_dir);
    return status;
}

int command_authorize(const struct options *options)
{
    struct config config;
    struct fault fault;
    int status;

    if (options->argument_count != 1) {
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_USAGE, "authorize",
                        "authorize needs the name of one account");
        return tell(NULL, &fault);
    }
    status = command_load(options, &config);
    if (status != 0)
        return status;
    status = authorize(options, &config);
    config_free(&config);
    return status;
}
