#include <stdlib.h>

#include "commands/commands.h"
#include "config/load.h"
#include "report/log.h"
#include "store/state_dir.h"

static void tell_mistake(void *context, const char *text)
{
    (void)context;
    log_line(LOG_LEVEL_ERROR, NULL, "%s", text);
}

int command_load(const struct options *options, struct config *config)
{
    struct fault fault;
    char *path = config_path(options->config, &fault);
    int result;

    *config = (struct config){0};
    if (path == NULL) {
        log_fault(NULL, &fault);
        return fault_exit_status(fault.class);
    }
    result = config_load(config, path, tell_mistake, NULL, &fault);
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
