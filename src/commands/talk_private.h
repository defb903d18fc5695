/* What the talk_*.c files share: who types (talk_typed.c, talk_edit.c), what is shown (talk_show.c), and the
 * dialogue between the two (talk_dialogue.c). For these and talk.c only.
 *
 * Ownership: what has an _init() or _new() is freed by its _free(). Threads: one. Errors: told where they
 * happen. */
#ifndef POPFERRY_COMMANDS_TALK_PRIVATE_H
#define POPFERRY_COMMANDS_TALK_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/fault.h"
#include "protocol/wire.h"

/* ---- talk_typed.c: the typed lines ---- */

#define TYPED_MAX (1024 * 1024) /* octets of a typed line */

enum typed_kind {
    TYPED_COMMAND,
    TYPED_SECRET, /* not echoed by a terminal, not remembered */
    TYPED_TEXT,   /* of a message: no prompt, not remembered */
};

enum typed_event {
    TYPED_LINE,
    TYPED_END,      /* of the input */
    TYPED_OVER,     /* the server has ended the session */
    TYPED_STOP,     /* a signal asks for the end */
    TYPED_TOO_LONG, /* more than TYPED_MAX octets without a line end */
};

struct editor;

struct typed {
    const char *title;            /* for the prompt */
    int socket;                   /* watched meanwhile */
    int (*server)(void *context); /* the server may have spoken or closed: 1: it spoke, 0: it did not, -1: the
                                     session is over */
    void *context;
    bool terminal; /* a person types, and reads what comes */
    bool ended;
    struct editor *editor; /* NULL: none */
    struct buf input;
    size_t line_len; /* octets of `input` that were handed out */
};

/* Returns 0, or -1 when memory is short. title, socket, server and context are set by the caller. */
int typed_init(struct typed *typed);
void typed_free(struct typed *typed);

/* The next line, without its line end, NUL-terminated; valid until the next call. */
enum typed_event typed_next(struct typed *typed, enum typed_kind kind, char **line, size_t *len);

/* Octets of the input that the last line took, its end and all. */
size_t typed_taken(const struct typed *typed);

/* Wait until there is something to read on standard input. Returns TYPED_LINE then. */
enum typed_event typed_wait(struct typed *typed);

/* Remember a command for the line editor. */
void typed_remember(struct typed *typed, const char *line);

/* ---- talk_edit.c: line editing by libedit ---- */

/* NULL where there is no libedit, or the terminal cannot do it. */
struct editor *editor_new(struct typed *typed);
void editor_free(struct editor *editor);
enum typed_event editor_next(struct editor *editor, enum typed_kind kind, char **line, size_t *len);
void editor_redraw(struct editor *editor); /* something was printed in the middle of a line */
void editor_remember(struct editor *editor, const char *line);

/* ---- talk_verbs.c: the commands of POP3, SMTP and LMTP ---- */

enum answer { ONE_LINE, MULTI_LINE, MULTI_LINE_ALONE /* without an argument */ };

/* What must be known of a command before it is passed on. All others are passed on as they are. */
struct talk_verb {
    const char *name;
    enum answer pop3;
    bool secret; /* the last argument is one */
};

/* The command at the beginning of a line; never NULL. */
const struct talk_verb *talk_verb(const char *line);
bool talk_verb_known(const struct talk_verb *verb);

/* Where the secret argument of a command begins; its length if there is none. PASS takes all behind it, APOP
 * the second argument, AUTH what follows the mechanism. */
size_t talk_secret_at(const struct talk_verb *verb, const char *line);

/* ---- talk_show.c: the transcript, on standard output ---- */

/* Octets as a terminal may see them: control characters but TAB become '?', CRLF a newline. On a terminal so
 * does what is no UTF-8; elsewhere it passes. */
void show_text(const char *text, size_t len);

/* A line and its end. cut: more was dropped. */
void show_line(const char *line, size_t len, bool cut);

/* Lines of a long answer, chunk by chunk. */
struct show {
    char held[4]; /* a character or line end whose rest is still to come */
    size_t held_len;
};
void show_chunk(struct show *show, const char *data, size_t len);

/* ---- talk_dialogue.c ---- */

struct talk {
    struct wire *wire;
    enum wire_service service;
    enum fault_scope scope;
    const char *title;
    const char *host;
    unsigned final_timeout; /* seconds for the reply to the final dot */
    bool echo;              /* standard input is no terminal: the transcript shows what was typed */
};

/* Pass lines on until one side ends the session. Returns the exit status; what is wrong has been told. */
int talk_dialogue(const struct talk *talk);

#endif
