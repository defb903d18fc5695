/* Known providers: what `provider = "NAME"` stands for. Constant data, from providers.def.
 * Threads: any. Errors: a lookup gives NULL. */
#ifndef POPFERRY_CONFIG_PROVIDERS_H
#define POPFERRY_CONFIG_PROVIDERS_H

#include <stddef.h>

#include "base/terms.h"

struct provider {
    const char *name;
    const char *aliases; /* separated by spaces; NULL: none */
    const char *host;    /* NULL: this provider has no POP3 */
    unsigned port;
    enum tls_mode tls;
    enum auth_mechanism auth;
    const char *hint; /* what a person must know or do first; NULL: nothing */
    /* OAuth2 (NULL: none) */
    const char *token_endpoint;
    const char *device_endpoint;
    const char *authorization_endpoint;
    const char *scope;
};

/* By name or alias, in any case of letters; NULL if it is not known. */
const struct provider *provider_find(const char *name);

/* The known name that was probably meant; NULL where none is near. */
const char *provider_nearest(const char *name);

/* All of them, for documentation and completion. */
const struct provider *provider_list(size_t *count);

#endif
