#include "base/clock.h"

#include <time.h>

#define DAY 86400

int64_t clock_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
    return clock_us() / 1000;
}

int clock_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);

    if (error != 0)
        return -1;
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (error == 0)
        error = pthread_cond_init(condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return error == 0 ? 0 : -1;
}

int clock_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until)
{
    const struct timespec at = {.tv_sec = (time_t)(until / 1000000), .tv_nsec = (long)(until % 1000000) * 1000};

    return pthread_cond_timedwait(condition, mutex, &at);
}

bool clock_waits(int64_t until, int64_t now)
{
    return until > now && until - now <= DAY;
}
