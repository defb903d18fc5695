#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/stop.h"
#include "commands/talk_private.h"

#define SLICE_MS 250 /* how late a signal may be noticed */
#define CHUNK 4096

int typed_init(struct typed *typed)
{
    typed->terminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
    buf_init(&typed->input, TYPED_MAX + CHUNK);
    if (buf_reserve(&typed->input, CHUNK) < 0)
        return -1;
    if (typed->terminal)
        typed->editor = editor_new(typed);
    return 0;
}

void typed_free(struct typed *typed)
{
    editor_free(typed->editor);
    buf_free(&typed->input); /* wiped: there may have been secrets in it */
}

/* What the server says meanwhile is shown at once. TLS may hold octets back that poll(2) knows nothing of, so
 * it is asked first. */
static bool server_is_gone(struct typed *typed)
{
    int result = typed->server(typed->context);

    if (result > 0 && typed->editor != NULL)
        editor_redraw(typed->editor);
    return result < 0;
}

enum typed_event typed_wait(struct typed *typed)
{
    for (;;) {
        struct pollfd ready[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                 {.fd = typed->socket, .events = POLLIN}};

        if (stop_requested())
            return TYPED_STOP;
        if (server_is_gone(typed))
            return TYPED_OVER;
        if (poll(ready, 2, SLICE_MS) <= 0 || ready[0].revents == 0)
            continue;
        if (stop_requested()) /* before the end of input that may have come with it */
            return TYPED_STOP;
        /* Both have something: the server goes first. */
        return ready[1].revents != 0 && server_is_gone(typed) ? TYPED_OVER : TYPED_LINE;
    }
}

/* Hand out the line that ends at `end` octets of the input, `used` octets with its line end. */
static enum typed_event hand_out(struct typed *typed, size_t end, size_t used, char **line, size_t *len)
{
    typed->line_len = used;
    if (end > 0 && used > end && typed->input.data[end - 1] == '\r')
        end--;
    typed->input.data[end] = '\0';
    *line = typed->input.data;
    *len = end;
    return end > TYPED_MAX ? TYPED_TOO_LONG : TYPED_LINE;
}

static enum typed_event read_more(struct typed *typed)
{
    enum typed_event event = typed_wait(typed);
    ssize_t n;

    if (event != TYPED_LINE)
        return event;
    if (buf_reserve(&typed->input, CHUNK) < 0)
        return TYPED_TOO_LONG;
    n = read(STDIN_FILENO, typed->input.data + typed->input.len, CHUNK);
    if (n > 0)
        typed->input.len += (size_t)n;
    else if (n == 0 || (errno != EINTR && errno != EAGAIN))
        typed->ended = true;
    return TYPED_LINE;
}

static enum typed_event next_line(struct typed *typed, char **line, size_t *len)
{
    size_t scanned = 0;

    buf_consume(&typed->input, typed->line_len);
    typed->line_len = 0;
    for (;;) {
        size_t waiting = typed->input.len - scanned;
        const char *end = waiting > 0 ? memchr(typed->input.data + scanned, '\n', waiting) : NULL;
        enum typed_event event;

        if (end != NULL)
            return hand_out(typed, (size_t)(end - typed->input.data), (size_t)(end - typed->input.data) + 1,
                            line, len);
        if (typed->input.len > TYPED_MAX)
            return TYPED_TOO_LONG;
        if (typed->ended && typed->input.len == 0)
            return TYPED_END;
        if (typed->ended) { /* a last line without its end */
            if (buf_reserve(&typed->input, 1) < 0)
                return TYPED_TOO_LONG;
            return hand_out(typed, typed->input.len, typed->input.len, line, len);
        }
        scanned = typed->input.len;
        event = read_more(typed);
        if (event != TYPED_LINE)
            return event;
    }
}

/* Read without the terminal's echo. */
static enum typed_event next_secret(struct typed *typed, char **line, size_t *len)
{
    struct termios before;
    struct termios silent;
    enum typed_event event;

    if (isatty(STDIN_FILENO) != 1 || tcgetattr(STDIN_FILENO, &before) < 0)
        return next_line(typed, line, len);
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &silent);
    (void)fputs("(not shown) ", stdout);
    (void)fflush(stdout);
    event = next_line(typed, line, len);
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    (void)putchar('\n');
    return event;
}

enum typed_event typed_next(struct typed *typed, enum typed_kind kind, char **line, size_t *len)
{
    (void)fflush(stdout);
    if (kind == TYPED_SECRET)
        return next_secret(typed, line, len);
    if (typed->editor != NULL)
        return editor_next(typed->editor, kind, line, len);
    if (typed->terminal && kind == TYPED_COMMAND) {
        (void)printf("%s> ", typed->title);
        (void)fflush(stdout);
    }
    return next_line(typed, line, len);
}

size_t typed_taken(const struct typed *typed)
{
    return typed->line_len;
}

void typed_remember(struct typed *typed, const char *line)
{
    if (typed->editor != NULL)
        editor_remember(typed->editor, line);
}
