#include "config/providers.h"

#include <string.h>
#include <strings.h>

#include "config/options.h"

#define PROVIDER(name, aliases, host, hint)                                                                  \
    {name, aliases, host, 995, TLS_IMPLICIT, AUTH_AUTO, hint, NULL, NULL, NULL, NULL},
#define PROVIDER_OAUTH(name, aliases, host, auth, hint, token, device, authorization, scope)                 \
    {name, aliases, host, 995, TLS_IMPLICIT, auth, hint, token, device, authorization, scope},
#define PROVIDER_WITHOUT_POP3(name, aliases, hint)                                                           \
    {name, aliases, NULL, 0, TLS_IMPLICIT, AUTH_AUTO, hint, NULL, NULL, NULL, NULL},

static const struct provider providers[] = {
#include "config/providers.def"
};

static const size_t provider_count = sizeof(providers) / sizeof(providers[0]);

/* Whether the name is one word of the list. */
static bool among(const char *list, const char *name)
{
    size_t len = strlen(name);
    size_t word;

    for (; list != NULL && *list != '\0'; list += word + (list[word] == ' ')) {
        word = strcspn(list, " ");
        if (word == len && strncasecmp(list, name, len) == 0)
            return true;
    }
    return false;
}

const struct provider *provider_find(const char *name)
{
    size_t i;

    for (i = 0; i < provider_count; i++) {
        if (strcasecmp(providers[i].name, name) == 0 || among(providers[i].aliases, name))
            return &providers[i];
    }
    return NULL;
}

const char *provider_nearest(const char *name)
{
    size_t len = strlen(name);
    const char *nearest = NULL;
    size_t i;

    for (i = 0; i < provider_count; i++) {
        const char *known = providers[i].name;
        if (option_is_near(known, name, len) &&
            (nearest == NULL || option_distance(known, name, len) < option_distance(nearest, name, len)))
            nearest = known;
    }
    return nearest;
}

const struct provider *provider_list(size_t *count)
{
    *count = provider_count;
    return providers;
}
