#include "report/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "report/log_form.h"

static struct {
    pthread_mutex_t lock;
    enum log_format format;
    enum log_level most;
    void (*clear)(void *context);
    void (*redraw)(void *context);
    void *context;
} the_log = {.lock = PTHREAD_MUTEX_INITIALIZER, .format = LOG_TEXT, .most = LOG_LEVEL_WARNING};

enum log_format log_default_format(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    char end;

    if (stream == NULL || sscanf(stream, "%llu:%llu%c", &device, &inode, &end) != 2)
        return LOG_TEXT;
    if (fstat(STDERR_FILENO, &st) < 0 || st.st_dev != device || st.st_ino != inode)
        return LOG_TEXT;
    return LOG_JOURNAL;
}

void log_open(enum log_format format, enum log_level most)
{
    the_log.format = format;
    the_log.most = most;
}

bool log_tells(enum log_level level)
{
    return level <= the_log.most;
}

/* The whole line in one write(2): lines of several processes on one terminal or pipe stay whole. */
static void write_line(const char *line, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, line, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        line += n;
        len -= (size_t)n;
    }
}

static void tell(struct log_record *record)
{
    struct timespec now;
    struct buf line;

    if (record->len > LOG_TEXT_MAX)
        record->len = LOG_TEXT_MAX;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    record->time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    buf_init(&line, LOG_LINE_MAX);
    if (log_form(&line, the_log.format, record) == 0) {
        log_lock();
        if (the_log.clear != NULL)
            the_log.clear(the_log.context);
        write_line(line.data, line.len);
        if (the_log.redraw != NULL)
            the_log.redraw(the_log.context);
        log_unlock();
    }
    buf_free(&line);
}

void log_line(enum log_level level, const char *account, const char *fmt, ...)
{
    const struct log_event note = {.event = "note", .size = -1, .duration = -1};
    struct log_record record = {.level = level, .account = account, .event = &note};
    char *text = NULL;
    va_list args;
    int len;

    if (!log_tells(level))
        return;
    va_start(args, fmt);
    len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0)
        return;
    record.text = text;
    record.len = (size_t)len;
    tell(&record);
    free(text);
}

bool log_singles_out(void)
{
    return the_log.format == LOG_JSON;
}

void log_fault(const char *account, const struct fault *fault)
{
    const struct log_event event = {.event = "fault", .size = -1, .duration = -1};
    struct log_record record = {
        .level = LOG_LEVEL_ERROR,
        .account = account,
        .text = fault->text,
        .len = strlen(fault->text),
        .class = fault_class_name(fault->class),
        .stage = fault->stage,
        .event = &event,
    };

    if (log_tells(LOG_LEVEL_ERROR))
        tell(&record);
}

void log_event(enum log_level level, const char *account, const struct log_event *event)
{
    struct log_record record = {.level = level, .account = account, .text = event->text, .event = event};

    if (!log_tells(level) || (event->text == NULL && the_log.format != LOG_JSON))
        return;
    record.len = event->text != NULL ? strlen(event->text) : 0;
    tell(&record);
}

void log_dialogue(const char *account, char direction, const char *line, size_t len)
{
    const struct log_event event = {
        .event = direction == '>' ? "sent" : "received",
        .size = -1,
        .duration = -1,
    };
    struct log_record record = {.level = LOG_LEVEL_DEBUG, .account = account, .event = &event};
    struct buf text;

    if (!log_tells(LOG_LEVEL_DEBUG))
        return;
    if (len > LOG_TEXT_MAX - 2)
        len = LOG_TEXT_MAX - 2;
    buf_init(&text, LOG_TEXT_MAX);
    if (buf_printf(&text, "%c ", direction) == 0 && buf_append(&text, line, len) == 0) {
        record.text = text.data;
        record.len = text.len;
        tell(&record);
    }
    buf_free(&text);
}

void log_set_live(void (*clear)(void *context), void (*redraw)(void *context), void *context)
{
    log_lock();
    the_log.clear = clear;
    the_log.redraw = redraw;
    the_log.context = context;
    log_unlock();
}

void log_lock(void)
{
    (void)pthread_mutex_lock(&the_log.lock);
}

void log_unlock(void)
{
    (void)pthread_mutex_unlock(&the_log.lock);
}
