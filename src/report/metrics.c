/* The outcome in Prometheus' text format, for node_exporter's textfile collector. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"
#include "report/outcome.h"

/* Gauges, since each run begins at nothing: counters would have to outlive it. */
static const struct {
    const char *name, *help;
    size_t at; /* a uint64_t in struct outcome */
} gauges[] = {
    {"popferry_last_run_messages", "Messages delivered in the last run.",
     offsetof(struct outcome, delivered)},
    {"popferry_last_run_octets", "Octets delivered in the last run.", offsetof(struct outcome, octets)},
    {"popferry_last_run_deleted", "Messages deleted on the POP3 server in the last run.",
     offsetof(struct outcome, deleted)},
    {"popferry_last_run_waiting", "Messages left on the POP3 server to be tried again.",
     offsetof(struct outcome, waiting_messages)},
    {"popferry_last_run_refused", "Messages refused for good by the SMTP server.",
     offsetof(struct outcome, refused)},
    {"popferry_last_run_quarantined", "Messages put into the quarantine in the last run.",
     offsetof(struct outcome, quarantined)},
    {"popferry_last_run_oversize", "Messages left on the POP3 server for their size.",
     offsetof(struct outcome, oversize)},
};

static void put_head(FILE *file, const char *name, const char *help)
{
    (void)fprintf(file, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

/* name{account="...", without the closing brace. */
static void put_name(FILE *file, const char *name, const char *account)
{
    (void)fprintf(file, "%s{account=\"", name);
    while (*account != '\0') {
        size_t len = utf8_printable(account, strlen(account));
        if (*account == '"' || *account == '\\')
            (void)fputc('\\', file);
        if (*account == '\n')
            (void)fputs("\\n", file);
        else if (len == 0)
            (void)fputc('?', file); /* Prometheus refuses the whole file for it */
        else
            (void)fwrite(account, 1, len, file);
        account += len > 0 ? len : 1;
    }
    (void)fputc('"', file);
}

/* Not %f: its decimal point is the locale's. */
static void put_seconds(FILE *file, int64_t milliseconds)
{
    long long ms = milliseconds > 0 ? milliseconds : 0;

    (void)fprintf(file, "} %lld.%03lld\n", ms / 1000, ms % 1000);
}

static void put_gauges(FILE *file, const struct outcome *outcomes, size_t count)
{
    size_t g, i;

    for (g = 0; g < sizeof(gauges) / sizeof(gauges[0]); g++) {
        put_head(file, gauges[g].name, gauges[g].help);
        for (i = 0; i < count; i++) {
            uint64_t value;
            memcpy(&value, (const char *)&outcomes[i] + gauges[g].at, sizeof(value));
            put_name(file, gauges[g].name, outcomes[i].account);
            (void)fprintf(file, "} %llu\n", (unsigned long long)value);
        }
    }
}

static void put_faults(FILE *file, const struct outcome *outcomes, size_t count)
{
    static const char name[] = "popferry_last_run_faults";
    size_t i;
    int kind;

    put_head(file, name, "Faults of the last run by kind.");
    for (i = 0; i < count; i++)
        for (kind = FAULT_RETRY; kind <= FAULT_INTERNAL; kind++) {
            put_name(file, name, outcomes[i].account);
            (void)fprintf(file, ",kind=\"%s\"} %llu\n", fault_class_name((enum fault_class)kind),
                          (unsigned long long)outcomes[i].faults[kind]);
        }
}

static void put_times(FILE *file, const struct outcome *outcomes, size_t count)
{
    static const char success[] = "popferry_last_success_timestamp_seconds";
    static const char run[] = "popferry_last_run_timestamp_seconds";
    size_t i;

    put_head(file, success, "When the account was last polled without a fault.");
    for (i = 0; i < count; i++) {
        if (outcomes[i].last_success == 0)
            continue; /* never: an alert on absence is right */
        put_name(file, success, outcomes[i].account);
        (void)fprintf(file, "} %lld\n", (long long)outcomes[i].last_success);
    }
    put_head(file, run, "When the last run ended.");
    (void)fprintf(file, "%s %lld\n", run, (long long)time(NULL));
}

static void put_stages(FILE *file, const struct outcome *outcomes, size_t count)
{
    static const char stage[] = "popferry_stage_seconds", whole[] = "popferry_last_run_duration_seconds";
    size_t i, s;

    put_head(file, stage, "Seconds that each stage of the last run took.");
    for (i = 0; i < count; i++) {
        const struct {
            const char *name;
            int64_t ms;
        } stages[] = {{"connect", outcomes[i].connect_ms},
                      {"list", outcomes[i].list_ms},
                      {"retrieve", outcomes[i].retrieve_ms}};
        for (s = 0; s < sizeof(stages) / sizeof(stages[0]); s++) {
            put_name(file, stage, outcomes[i].account);
            (void)fprintf(file, ",stage=\"%s\"", stages[s].name);
            put_seconds(file, stages[s].ms);
        }
    }
    put_head(file, whole, "Seconds that the last run took.");
    for (i = 0; i < count; i++) {
        put_name(file, whole, outcomes[i].account);
        put_seconds(file, outcomes[i].duration_ms);
    }
}

static int write_metrics(int fd, const struct outcome *outcomes, size_t count)
{
    FILE *file = fdopen(fd, "w");
    int failed;

    if (file == NULL) {
        (void)close(fd);
        return -1;
    }
    put_gauges(file, outcomes, count);
    put_faults(file, outcomes, count);
    put_times(file, outcomes, count);
    put_stages(file, outcomes, count);
    failed = fchmod(fd, 0644) < 0 || ferror(file); /* the collector runs as somebody else */
    return fclose(file) != 0 || failed ? -1 : 0;
}

int outcome_metrics(const struct outcome *outcomes, size_t count, const char *path, struct fault *fault)
{
    char made[PATH_MAX];
    int n = snprintf(made, sizeof(made), "%s.XXXXXX", path); /* not *.prom: the collector passes it over */
    int fd = -1, error;

    errno = ENAMETOOLONG;
    if (n > 0 && (size_t)n < sizeof(made))
        fd = mkostemp(made, O_CLOEXEC);
    if (fd >= 0 && write_metrics(fd, outcomes, count) == 0 && rename(made, path) == 0)
        return 0;
    error = errno;
    if (fd >= 0)
        (void)unlink(made);
    return fault_set(fault, FAULT_OF_RUN, FAULT_STATE, "metrics", "cannot write %s: %s", path,
                     strerror(error));
}
