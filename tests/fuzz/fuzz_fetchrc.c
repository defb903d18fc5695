/* fetchrc: whatever the text is, it is loaded whole and consistent, or there is a mistake that says why it is
 * not. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/load.h"

#define CHECK(what) ((what) ? (void)0 : abort())

/* libconfuse 3.3 loses the arguments of an include() that ends in a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfuse\n";
}

static void on_mistake(void *context, const char *text)
{
    size_t *count = context;

    CHECK(*text != '\0' && strpbrk(text, "\r\n") == NULL);
    ++*count;
}

static void check_account(const struct config *config, const struct config_account *account)
{
    size_t i;

    CHECK(account->peer.host != NULL && account->peer.username != NULL && account->identity != NULL);
    CHECK(account->peer.port > 0 && account->peer.port <= 65535);
    CHECK(account->destination >= config->destinations);
    CHECK(account->destination < config->destinations + config->destination_count);
    CHECK(account->recipients.count > 0 || account->map_count > 0);
    for (i = 0; i < account->recipients.count; i++)
        CHECK(strpbrk(account->recipients.items[i], "<> \r\n") == NULL);
    CHECK(config_find_account(config, account->peer.title) == account);
}

/* The fetchrc stands in /proc/self/fd, where include("3") may be a pipe of make's that never ends. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    int fd;

    (void)argc, (void)argv;
    for (fd = 3; fd < 64; fd++)
        (void)close(fd);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct config config;
    struct fault fault;
    size_t mistakes = 0;
    size_t i;
    int fd;

    /* Endless files are not what is looked for. */
    if (memmem(data, size, "/dev", 4) != NULL || memmem(data, size, "/proc", 5) != NULL)
        return 0;
    fd = memfd_create("fetchrc", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (config_load(&config, path, on_mistake, &mistakes, &fault) == 0) {
        CHECK(mistakes == 0 && config.destination_count > 0);
        for (i = 0; i < config.account_count; i++)
            check_account(&config, &config.accounts[i]);
        config_free(&config);
    } else {
        CHECK(mistakes > 0 && fault.class == FAULT_CONFIG);
    }
    (void)close(fd);
    return 0;
}
