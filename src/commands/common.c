#include <stdlib.h>
#include <sysexits.h>

#include "commands/commands.h"
#include "config/load.h"
#include "report/log.h"
#include "store/state_dir.h"

static void tell_mistake(void *context, const char *text)
{
    const struct options *options = context;

    log_line(LOG_LEVEL_ERROR, NULL, "%s", text);
    if (options->mistakes != NULL)
        (void)buf_printf(options->mistakes, "%s\n", text);
}

static int tell_unknown(const struct options *options)
{
    log_line(LOG_LEVEL_ERROR, NULL, "there is no command or account \"%s\"%s%s%s", options->arguments[0],
             options->guess != NULL ? "; did you mean 'popferry " : "",
             options->guess != NULL ? options->guess : "", options->guess != NULL ? "'?" : "");
    return EX_USAGE;
}

int command_load(const struct options *options, struct config *config)
{
    struct options own = *options;
    struct fault fault;
    char *path = config_path(options->config, &fault);
    int result;

    *config = (struct config){0};
    if (path == NULL && options->implied)
        return tell_unknown(options);
    if (path == NULL) {
        tell_mistake(&own, fault.text);
        return fault_exit_status(fault.class);
    }
    result = config_load(config, path, tell_mistake, &own, &fault);
    free(path);
    if (result == 0)
        return 0;
    log_fault(NULL, &fault);
    config_free(config);
    return fault_exit_status(fault.class);
}

char *command_state_dir(const struct options *options, const struct config *config)
{
    struct fault fault;
    char *path = state_dir_path(options->state_dir, config->state_dir, &fault);

    if (path == NULL)
        log_fault(NULL, &fault);
    return path;
}

const struct config_account *command_find_account(const struct config *config, const char *title)
{
    const struct config_account *account = config_find_account(config, title);

    if (account == NULL)
        log_line(LOG_LEVEL_ERROR, NULL, "there is no account \"%s\" in %s", title, config->path);
    return account;
}

/* Those that are named, each once, or all that are enabled. */
static int choose(const struct options *options, struct command_accounts *chosen)
{
    const struct config *config = &chosen->config;
    size_t i;
    size_t j;

    for (i = 0; options->argument_count == 0 && i < config->account_count; i++) {
        if (config->accounts[i].enabled)
            chosen->accounts[chosen->count++] = &config->accounts[i];
    }
    for (i = 0; i < (size_t)options->argument_count; i++) {
        const struct config_account *account;
        if (i == 0 && options->implied && config_find_account(config, options->arguments[0]) == NULL)
            return tell_unknown(options);
        account = command_find_account(config, options->arguments[i]);
        if (account == NULL)
            return EX_USAGE;
        for (j = 0; j < chosen->count && chosen->accounts[j] != account; j++)
            continue;
        if (j == chosen->count)
            chosen->accounts[chosen->count++] = account;
    }
    return 0;
}

int command_accounts(const struct options *options, struct command_accounts *chosen)
{
    struct config *config = &chosen->config;
    int status;

    *chosen = (struct command_accounts){0};
    status = command_load(options, config);
    if (status != 0)
        return status;
    chosen->accounts = calloc(config->account_count + (size_t)options->argument_count + 1,
                              sizeof(*chosen->accounts));
    chosen->state_dir = command_state_dir(options, config);
    if (chosen->accounts == NULL || chosen->state_dir == NULL)
        status = chosen->accounts == NULL ? EX_SOFTWARE : EX_IOERR;
    else
        status = choose(options, chosen);
    if (status != 0)
        command_accounts_free(chosen);
    return status;
}

void command_accounts_free(struct command_accounts *chosen)
{
    free(chosen->state_dir);
    free(chosen->accounts);
    config_free(&chosen->config);
}
