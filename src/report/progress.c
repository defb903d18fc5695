#include "report/progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "report/human.h"
#include "report/log.h"
#include "report/progress_line.h"

#define LINES_MAX 10     /* mailboxes that are shown at once */
#define REDRAW_MS 100    /* between two drawings */
#define SCREEN_MAX 16384 /* octets of a drawing */

struct slot {
    char *account;
    const char *stage;
    bool ended;
    int64_t since; /* the totals are known */
    struct progress_state state;
};

/* Guarded by the log's lock, which keeps drawings and log lines apart anyhow. */
struct progress {
    struct slot *slots;
    size_t count;
    size_t room;
    size_t drawn; /* lines on the screen, above the cursor */
    int64_t last_draw;
    bool utf8;
};

static void screen_size(size_t *columns, size_t *lines)
{
    struct winsize size;

    *columns = 80;
    *lines = 24;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0)
        return;
    if (size.ws_col > 0)
        *columns = size.ws_col;
    if (size.ws_row > 0)
        *lines = size.ws_row;
}

static void put(const struct buf *screen)
{
    size_t at = 0;

    while (at < screen->len) {
        ssize_t n = write(STDERR_FILENO, screen->data + at, screen->len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        at += (size_t)n;
    }
}

/* Back to the first live line (ECMA-48 CUU, ED). */
static void rewind_lines(struct progress *progress, struct buf *screen)
{
    if (progress->drawn > 0)
        (void)buf_printf(screen, "\033[%zuA\r\033[J", progress->drawn);
    progress->drawn = 0;
}

static void clear(void *context)
{
    struct progress *progress = context;
    struct buf screen;

    buf_init(&screen, SCREEN_MAX);
    rewind_lines(progress, &screen);
    put(&screen);
    buf_free(&screen);
}

/* With few mailboxes those that are done stay in sight; with many only the busy ones are shown. */
static bool shown(const struct progress *progress, const struct slot *slot, size_t most)
{
    return progress->count <= most || !slot->ended;
}

static void draw_slot(struct progress *progress, struct buf *screen, struct slot *slot, size_t columns,
                      size_t names)
{
    char line[PROGRESS_LINE_MAX];

    slot->state.account = slot->account;
    slot->state.stage = slot->ended ? NULL : slot->stage;
    if (!slot->ended)
        slot->state.elapsed_ms = clock_ms() - slot->since;
    progress_line(line, &slot->state, columns, names, progress->utf8);
    (void)buf_printf(screen, "%s\n", line);
    progress->drawn++;
}

static void draw(void *context)
{
    struct progress *progress = context;
    size_t columns, lines, most, names = 0, waiting = 0, i;
    struct buf screen;

    screen_size(&columns, &lines);
    columns--; /* the last column would wrap */
    most = lines > LINES_MAX + 2 ? LINES_MAX : lines > 3 ? lines - 3 : 1;
    for (i = 0; i < progress->count; i++)
        if (shown(progress, &progress->slots[i], most) &&
            progress_columns(progress->slots[i].account) > names)
            names = progress_columns(progress->slots[i].account);
    if (names > columns / 4)
        names = columns / 4;
    buf_init(&screen, SCREEN_MAX);
    rewind_lines(progress, &screen);
    for (i = 0; i < progress->count; i++) {
        if (!shown(progress, &progress->slots[i], most))
            continue;
        if (progress->drawn < most)
            draw_slot(progress, &screen, &progress->slots[i], columns, names);
        else
            waiting++;
    }
    if (waiting > 0) {
        (void)buf_printf(&screen, "and %zu more\n", waiting);
        progress->drawn++;
    }
    put(&screen);
    buf_free(&screen);
    progress->last_draw = clock_ms();
}

static void draw_if_due(struct progress *progress)
{
    if (clock_ms() - progress->last_draw >= REDRAW_MS)
        draw(progress);
}

struct progress *progress_new(bool quiet)
{
    const char *term = getenv("TERM");
    struct progress *progress;

    if (quiet || !isatty(STDERR_FILENO) || term == NULL || strcmp(term, "dumb") == 0)
        return NULL;
    progress = calloc(1, sizeof(*progress));
    if (progress == NULL)
        return NULL;
    progress->utf8 = human_utf8();
    log_set_live(clear, draw, progress);
    return progress;
}

void progress_free(struct progress *progress)
{
    size_t i;

    if (progress == NULL)
        return;
    log_set_live(NULL, NULL, NULL);
    clear(progress);
    for (i = 0; i < progress->count; i++)
        free(progress->slots[i].account);
    free(progress->slots);
    free(progress);
}

/* Memory that is short costs a line, not the run: such a slot is beyond the last one, and is passed over. */
size_t progress_begin(struct progress *progress, const char *account)
{
    size_t slot = SIZE_MAX;
    char *name;

    if (progress == NULL)
        return slot;
    log_lock();
    if (progress->count == progress->room) {
        size_t room = progress->room > 0 ? progress->room * 2 : 16;
        struct slot *more = reallocarray(progress->slots, room, sizeof(*more));
        if (more != NULL) {
            progress->slots = more;
            progress->room = room;
        }
    }
    if (progress->count < progress->room && (name = strdup(account)) != NULL) {
        slot = progress->count++;
        progress->slots[slot] = (struct slot){.account = name, .stage = "connecting", .since = clock_ms()};
    }
    draw_if_due(progress);
    log_unlock();
    return slot;
}

/* The slot, with the lock held; NULL, and no lock, when there is nothing to draw. */
static struct slot *enter(struct progress *progress, size_t slot)
{
    if (progress == NULL)
        return NULL;
    log_lock();
    if (slot < progress->count)
        return &progress->slots[slot];
    log_unlock();
    return NULL;
}

static void leave(struct progress *progress)
{
    draw_if_due(progress);
    log_unlock();
}

void progress_stage(struct progress *progress, size_t slot, const char *stage)
{
    struct slot *entered = enter(progress, slot);

    if (entered == NULL)
        return;
    entered->stage = stage;
    leave(progress);
}

void progress_total(struct progress *progress, size_t slot, uint64_t messages, uint64_t octets)
{
    struct slot *entered = enter(progress, slot);

    if (entered == NULL)
        return;
    entered->state.total_messages = messages;
    entered->state.total_octets = octets;
    entered->since = clock_ms();
    leave(progress);
}

void progress_add(struct progress *progress, size_t slot, uint64_t messages, uint64_t octets)
{
    struct slot *entered = enter(progress, slot);

    if (entered == NULL)
        return;
    entered->state.messages += messages;
    entered->state.octets += octets;
    leave(progress);
}

void progress_end(struct progress *progress, size_t slot)
{
    struct slot *entered = enter(progress, slot);

    if (entered == NULL)
        return;
    entered->ended = true;
    leave(progress);
}
