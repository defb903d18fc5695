#include "report/log_form.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "report/clean_json.h"

/* One row a level: the key of the JSON form, the priority of sd-daemon(3). */
static const struct {
    const char *name;
    int priority;
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},   [LOG_LEVEL_WARNING] = {"warning", 4},
    [LOG_LEVEL_NOTICE] = {"notice", 5}, [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

static int clean_string(struct buf *out, const char *text)
{
    return utf8_clean(out, text, strlen(text));
}

static void put_text(json_t *object, const char *key, const char *text)
{
    if (text != NULL)
        (void)json_object_set_new(object, key, clean_json(text, strlen(text)));
}

/* "a@b,c@d" as an array; a comma in a quoted local part divides nothing. */
static void put_list(json_t *object, const char *key, const char *list)
{
    json_t *array;
    const char *start = list;
    bool quoted = false;

    if (list == NULL || (array = json_array()) == NULL)
        return;
    for (;; list++) {
        if (*list == '"')
            quoted = !quoted;
        if (*list != '\0' && (*list != ',' || quoted))
            continue;
        if (list > start)
            (void)json_array_append_new(array, clean_json(start, (size_t)(list - start)));
        if (*list == '\0')
            break;
        start = list + 1;
    }
    (void)json_object_set_new(object, key, array);
}

/* RFC 3339, UTC, milliseconds. */
static void put_time(json_t *object, int64_t ms)
{
    char date[32], text[48];
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL || strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        return;
    (void)snprintf(text, sizeof(text), "%s.%03dZ", date, (int)(ms % 1000));
    put_text(object, "time", text);
}

static int form_json(struct buf *out, const struct log_record *record)
{
    const struct log_event *event = record->event;
    json_t *object = json_object();
    char *line;
    int failed;

    if (object == NULL)
        return -1;
    put_time(object, record->time_ms);
    put_text(object, "level", levels[record->level].name);
    put_text(object, "account", record->account);
    put_text(object, "event", event->event);
    if (record->text != NULL)
        (void)json_object_set_new(object, "text", clean_json(record->text, record->len));
    put_text(object, "class", record->class);
    put_text(object, "stage", record->stage);
    put_text(object, "uidl", event->uidl);
    if (event->size >= 0)
        (void)json_object_set_new(object, "size", json_integer(event->size));
    put_list(object, "recipients", event->recipients);
    put_text(object, "smtp_reply", event->smtp_reply);
    put_text(object, "queue_id", event->queue_id);
    if (event->duration >= 0)
        (void)json_object_set_new(object, "duration", json_integer(event->duration));
    line = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    failed = line == NULL || buf_puts(out, line) || buf_append(out, "\n", 1);
    free(line);
    return failed ? -1 : 0;
}

int log_form(struct buf *out, enum log_format format, const struct log_record *record)
{
    if (format == LOG_JSON)
        return form_json(out, record);
    if (format == LOG_JOURNAL ? buf_printf(out, "<%d>", levels[record->level].priority)
                              : buf_puts(out, "popferry: "))
        return -1;
    if (record->account != NULL && (clean_string(out, record->account) || buf_puts(out, ": ")))
        return -1;
    return utf8_clean(out, record->text, record->len) || buf_append(out, "\n", 1) ? -1 : 0;
}
