#include "report/progress_line.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "report/human.h"

static bool begins_character(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

size_t progress_columns(const char *text)
{
    size_t columns = 0;

    for (; *text != '\0'; text++)
        columns += begins_character(*text);
    return columns;
}

/* The name in exactly `columns` columns. */
static void put_name(struct buf *line, const char *name, size_t columns, bool utf8)
{
    size_t width = progress_columns(name), kept = 0, len = 0;
    bool mark = width > columns && utf8 && columns > 1;
    size_t room = mark ? columns - 1 : columns;

    while (name[len] != '\0' && (kept < room || !begins_character(name[len])))
        kept += begins_character(name[len++]);
    (void)utf8_clean(line, name, len);
    if (mark)
        (void)buf_puts(line, "\xE2\x80\xA6");
    for (kept += mark; kept < columns; kept++)
        (void)buf_append(line, " ", 1);
}

/* Two spaces and a field, if it fits; once one did not, none does. */
static void put_field(struct buf *line, size_t *room, const char *field)
{
    size_t columns = progress_columns(field) + 2;

    if (columns > *room) {
        *room = 0;
        return;
    }
    *room -= columns;
    (void)buf_puts(line, "  ");
    (void)buf_puts(line, field);
}

static unsigned percent(const struct progress_state *state)
{
    uint64_t done = state->total_octets > 0 ? state->octets : state->messages;
    uint64_t total = state->total_octets > 0 ? state->total_octets : state->total_messages;

    if (done >= total) /* more came than was listed: not done before the last message is */
        return state->messages >= state->total_messages ? 100 : 99;
    return (unsigned)((double)done * 100.0 / (double)total);
}

static void put_eta(struct buf *line, size_t *room, const struct progress_state *state, double rate)
{
    char field[HUMAN_SIZE];
    unsigned long long left;

    if (rate <= 0.0 || state->octets >= state->total_octets || state->messages >= state->total_messages)
        return;
    left = (unsigned long long)((double)(state->total_octets - state->octets) / rate + 0.5);
    if (left < 3600)
        (void)snprintf(field, sizeof(field), "ETA %02llu:%02llu", left / 60, left % 60);
    else
        (void)snprintf(field, sizeof(field), "ETA %llu:%02llu:%02llu", left / 3600, left / 60 % 60,
                       left % 60);
    put_field(line, room, field);
}

static void put_counts(struct buf *line, size_t *room, const struct progress_state *state)
{
    char field[64], octets[HUMAN_SIZE];
    double rate = state->elapsed_ms > 0 ? (double)state->octets * 1000.0 / (double)state->elapsed_ms : 0.0;

    (void)snprintf(field, sizeof(field), "%llu/%llu", (unsigned long long)state->messages,
                   (unsigned long long)state->total_messages);
    put_field(line, room, field);
    (void)snprintf(field, sizeof(field), "%3u%%", percent(state));
    put_field(line, room, field);
    put_field(line, room, human_octets(octets, state->octets));
    if (state->stage == NULL)
        return;
    if (rate > 0.0) {
        (void)snprintf(field, sizeof(field), "%s/s", human_octets(octets, (uint64_t)rate));
        put_field(line, room, field);
    }
    put_eta(line, room, state, rate);
}

void progress_line(char dst[PROGRESS_LINE_MAX], const struct progress_state *state, size_t columns,
                   size_t name_columns, bool utf8)
{
    struct buf line;
    size_t room;

    if (name_columns > columns)
        name_columns = columns;
    buf_init(&line, PROGRESS_LINE_MAX - 1);
    put_name(&line, state->account, name_columns, utf8);
    room = columns - name_columns;
    if (state->total_messages > 0)
        put_counts(&line, &room, state);
    if (state->stage == NULL)
        put_field(&line, &room, "done");
    else if (state->total_messages == 0 || strcmp(state->stage, "retrieving") != 0)
        put_field(&line, &room, state->stage);
    (void)snprintf(dst, PROGRESS_LINE_MAX, "%s", line.len > 0 ? line.data : "");
    buf_free(&line);
}
