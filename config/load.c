#include "config/load.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/loading.h"
#include "config/values.h"

static int misconfigured(struct fault *fault, const char *text)
{
    return fault_set(fault, FAULT_OF_RUN, FAULT_CONFIG, "fetchrc", "%s", text);
}

static int short_of_memory(struct fault *fault)
{
    return fault_set(fault, FAULT_OF_RUN, FAULT_INTERNAL, "fetchrc", "memory is short");
}

/* The user's own place, or NULL: neither XDG_CONFIG_HOME nor a home directory is known. */
static char *own_path(void)
{
    const char *base = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    char *path = NULL;
    int len = -1;

    if (base != NULL && *base == '/')
        len = asprintf(&path, "%s/popferry/fetchrc", base);
    else if (home != NULL && *home == '/')
        len = asprintf(&path, "%s/.config/popferry/fetchrc", home);
    return len < 0 ? NULL : path;
}

char *config_path(const char *option, struct fault *fault)
{
    static const char everybody[] = "/etc/popferry/fetchrc";
    char *path = option != NULL ? strdup(option) : own_path();

    /* One that is there but cannot be read is the right one all the same: the fault must not be hidden by the
     * next. */
    if (path != NULL && (option != NULL || access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR)))
        return path;
    if (access(everybody, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR)) {
        free(path);
        path = strdup(everybody);
        if (path == NULL)
            (void)short_of_memory(fault);
        return path;
    }
    (void)fault_set(fault, FAULT_OF_RUN, FAULT_CONFIG, "fetchrc",
                    "there is no fetchrc: neither %s%s%s; write one, or name it with -c",
                    path == NULL ? "" : path, path == NULL ? "" : " nor ", everybody);
    free(path);
    return NULL;
}

static pthread_mutex_t *new_gate(void)
{
    pthread_mutex_t *gate = malloc(sizeof(*gate));

    if (gate != NULL && pthread_mutex_init(gate, NULL) != 0) {
        free(gate);
        gate = NULL;
    }
    return gate;
}

/* The users that systemd makes for DynamicUser=, systemd.exec(5): they are gone when popferry is. */
#define DYNAMIC_UID_MIN 61184
#define DYNAMIC_UID_MAX 65519

/* Who gets mail by default: the user, unless that is root, whom nobody should let read mail by accident, or one
 * that nobody is. */
static char *default_recipient(void)
{
    uid_t uid = geteuid();
    bool person = uid != 0 && (uid < DYNAMIC_UID_MIN || uid > DYNAMIC_UID_MAX);
    struct passwd *user = person ? getpwuid(uid) : NULL;

    return user == NULL || value_recipient(user->pw_name) != NULL ? NULL : strdup(user->pw_name);
}

static void tell(const struct loading *loading, void (*mistake)(void *context, const char *text),
                 void *context)
{
    const struct mistake *it;
    char text[2048];
    size_t i;

    for (i = 0; i < loading->mistake_count; i++) {
        it = &loading->mistakes[i];
        if (it->line == 0)
            (void)snprintf(text, sizeof(text), "%s: %s", loading->config->files[it->file], it->text);
        else
            (void)snprintf(text, sizeof(text), "%s:%d: %s", loading->config->files[it->file], it->line,
                           it->text);
        mistake(context, text);
    }
}

static int conclude(const struct loading *loading, const char *path, struct fault *fault)
{
    char quote[512];

    if (loading->out_of_memory)
        return short_of_memory(fault);
    if (loading->mistake_count == 0)
        return 0;
    return fault_set(fault, FAULT_OF_RUN, FAULT_CONFIG, "fetchrc", "%zu mistake%s in %s",
                     loading->mistake_count, loading->mistake_count == 1 ? "" : "s",
                     fault_quote(quote, sizeof(quote), path, strlen(path)));
}

static void loading_free(struct loading *loading)
{
    const struct config *config = loading->config;
    size_t i;

    for (i = 0; i < config->account_count; i++) {
        free(loading->accounts[i].destination);
        free(loading->accounts[i].oauth);
    }
    free(loading->destinations);
    free(loading->accounts);
    free(loading->oauths);
    free(loading->user);
    mistakes_free(loading);
}

int config_load(struct config *config, const char *path, void (*mistake)(void *context, const char *text),
                void *context, struct fault *fault)
{
    struct loading loading = {.config = config};
    int result;

    if (path == NULL || *path == '\0')
        return misconfigured(fault, "the fetchrc has no name");
    *config = (struct config){.path = strdup(path), .gate = new_gate()};
    loading.user = default_recipient();
    if (config->path == NULL || config->gate == NULL)
        loading.out_of_memory = true;
    else
        read_fetchrc(&loading, path);
    if (!loading.broken && !loading.out_of_memory)
        link_sections(&loading);
    mistakes_sort(&loading);
    tell(&loading, mistake, context);
    result = conclude(&loading, path, fault);
    loading_free(&loading);
    if (result < 0)
        config_free(config);
    return result;
}
