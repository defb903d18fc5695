#include <stdlib.h>

#include "commands/talk_private.h"

#ifdef HAVE_LIBEDIT

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define REMEMBERED 200 /* commands */
#define PROMPT_MAX 80
#define END_OF_TRANSMISSION '\x04' /* Control-D */

struct editor {
    struct typed *typed;
    EditLine *edit;
    History *history;
    char command_prompt[PROMPT_MAX];
    const char *prompt;
    enum typed_event event; /* why a line was not finished */
    char *line;             /* libedit's, copied */
};

static struct editor *editor_of(EditLine *edit)
{
    void *editor = NULL;

    (void)el_get(edit, EL_CLIENTDATA, &editor);
    return editor;
}

static char *prompt(EditLine *edit)
{
    return (char *)(uintptr_t)editor_of(edit)->prompt;
}

/* The next character. The server is listened to meanwhile. Returns 1, 0 at the end, -1 when there is nothing
 * more to edit. */
static int read_character(EditLine *edit, wchar_t *wide)
{
    struct editor *editor = editor_of(edit);
    mbstate_t state;
    char octet;
    size_t got;

    memset(&state, 0, sizeof(state));
    for (;;) {
        ssize_t n;
        editor->event = typed_wait(editor->typed);
        if (editor->event != TYPED_LINE)
            return -1;
        n = read(STDIN_FILENO, &octet, 1);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return (int)n;
        /* libedit shows the prompt before it takes over the terminal. A Control-D typed until then was made an
         * end of file by the line discipline, of which a NUL is left. */
        if (octet == '\0')
            octet = END_OF_TRANSMISSION;
        got = mbrtowc(wide, &octet, 1, &state);
        if (got == 1)
            return 1;
        if (got == (size_t)-1) /* no character of this locale */
            memset(&state, 0, sizeof(state));
    }
}

/* There may be a secret in it. */
static void forget_line(struct editor *editor)
{
    if (editor->line != NULL)
        explicit_bzero(editor->line, strlen(editor->line));
    free(editor->line);
    editor->line = NULL;
}

static bool setup(struct editor *editor)
{
    HistEvent event;

    editor->edit = el_init("popferry", stdin, stdout, stderr);
    editor->history = history_init();
    if (editor->edit == NULL || editor->history == NULL)
        return false;
    (void)history(editor->history, &event, H_SETSIZE, REMEMBERED);
    (void)history(editor->history, &event, H_SETUNIQUE, 1);
    (void)el_set(editor->edit, EL_CLIENTDATA, editor);
    (void)el_set(editor->edit, EL_PROMPT, prompt);
    (void)el_set(editor->edit, EL_EDITOR, "emacs");
    (void)el_set(editor->edit, EL_HIST, history, editor->history);
    return el_set(editor->edit, EL_GETCFN, read_character) == 0;
}

struct editor *editor_new(struct typed *typed)
{
    struct editor *editor = calloc(1, sizeof(*editor));

    if (editor == NULL)
        return NULL;
    (void)setlocale(LC_CTYPE, "");
    editor->typed = typed;
    (void)snprintf(editor->command_prompt, sizeof(editor->command_prompt), "%.70s> ", typed->title);
    editor->prompt = editor->command_prompt;
    if (setup(editor))
        return editor;
    editor_free(editor);
    return NULL;
}

void editor_free(struct editor *editor)
{
    if (editor == NULL)
        return;
    if (editor->edit != NULL)
        el_end(editor->edit);
    if (editor->history != NULL)
        history_end(editor->history);
    forget_line(editor);
    free(editor);
}

enum typed_event editor_next(struct editor *editor, enum typed_kind kind, char **line, size_t *len)
{
    const char *typed;
    int count = 0;

    editor->prompt = kind == TYPED_COMMAND ? editor->command_prompt : "";
    editor->event = TYPED_LINE;
    typed = el_gets(editor->edit, &count);
    if (typed == NULL || count <= 0)
        return editor->event != TYPED_LINE ? editor->event : TYPED_END;
    forget_line(editor);
    editor->line = strdup(typed);
    if (editor->line == NULL)
        return TYPED_TOO_LONG;
    *len = strcspn(editor->line, "\r\n");
    editor->line[*len] = '\0';
    *line = editor->line;
    return *len > TYPED_MAX ? TYPED_TOO_LONG : TYPED_LINE;
}

void editor_redraw(struct editor *editor)
{
    (void)el_set(editor->edit, EL_REFRESH);
}

void editor_remember(struct editor *editor, const char *line)
{
    HistEvent event;

    (void)history(editor->history, &event, H_ENTER, line);
}

#else /* HAVE_LIBEDIT */

struct editor *editor_new(struct typed *typed)
{
    (void)typed;
    return NULL;
}

void editor_free(struct editor *editor)
{
    (void)editor;
}

enum typed_event editor_next(struct editor *editor, enum typed_kind kind, char **line, size_t *len)
{
    (void)editor, (void)kind, (void)line, (void)len;
    return TYPED_END;
}

void editor_redraw(struct editor *editor)
{
    (void)editor;
}

void editor_remember(struct editor *editor, const char *line)
{
    (void)editor, (void)line;
}

#endif
