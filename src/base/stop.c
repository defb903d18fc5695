#include "base/stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sysexits.h>
#include <unistd.h>

/* Atomic, not only volatile: other threads read what the handler writes. Lock-free, so a handler may. */
static atomic_int stopping;

static void on_signal(int sig)
{
    (void)sig;
    /* The second signal: the history is safe at every instant, so leaving at once loses nothing. */
    if (stopping)
        _exit(EX_TEMPFAIL);
    stopping = 1;
}

void stop_install(void)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    size_t i;

    (void)sigemptyset(&action.sa_mask);
    (void)sigemptyset(&ignore.sa_mask);
    action.sa_flags = SA_RESTART;
    for (i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
        (void)sigaction(ending[i], &action, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGXFSZ, &ignore, NULL); /* a file size limit is a fault like a full disk */
}

bool stop_requested(void)
{
    return stopping != 0;
}
