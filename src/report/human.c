#include "report/human.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *human_octets(char dst[HUMAN_SIZE], uint64_t octets)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    uint64_t tenths;
    size_t unit = 0;

    if (octets < 1000) {
        (void)snprintf(dst, HUMAN_SIZE, "%u B", (unsigned)octets);
        return dst;
    }
    tenths = octets / 100 + (octets % 100 >= 50);
    while (tenths >= 9995) {
        tenths = (tenths + 500) / 1000;
        unit++;
    }
    if (tenths < 100)
        (void)snprintf(dst, HUMAN_SIZE, "%u.%u %s", (unsigned)tenths / 10, (unsigned)tenths % 10,
                       units[unit]);
    else
        (void)snprintf(dst, HUMAN_SIZE, "%u %s", ((unsigned)tenths + 5) / 10, units[unit]);
    return dst;
}

char *human_duration(char dst[HUMAN_SIZE], int64_t milliseconds)
{
    long long tenths = milliseconds > 0 ? (milliseconds + 50) / 100 : 0;
    long long seconds = tenths / 10;

    if (seconds < 60)
        (void)snprintf(dst, HUMAN_SIZE, "%lld.%lld s", seconds, tenths % 10);
    else if (seconds < 3600)
        (void)snprintf(dst, HUMAN_SIZE, "%lld:%02lld min", seconds / 60, seconds % 60);
    else
        (void)snprintf(dst, HUMAN_SIZE, "%lld:%02lld:%02lld h", seconds / 3600, seconds / 60 % 60,
                       seconds % 60);
    return dst;
}

bool human_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
    }
    return false;
}
