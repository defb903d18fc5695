/* What the import files share: the accounts and destinations that were read, as lines of a fetchrc to be.
 *
 * Ownership: struct import owns everything below it; import_free(). Threads: one. Memory that runs short is
 * noted in `broken` and looked at once, at the end. */
#ifndef POPFERRY_COMMANDS_IMPORT_PRIVATE_H
#define POPFERRY_COMMANDS_IMPORT_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/terms.h"

struct import_account {
    char *title;
    char *host;
    char *user;
    unsigned port; /* 0: the default */
    enum tls_mode tls;
    struct buf options; /* further lines, "    name = value\n" */
    struct buf notes;   /* "    # ...\n" */
    bool dropped;       /* no POP3: its lines become comments */
    bool has_password;
    bool keeps;  /* leaves mail on the server */
    char **uids; /* that the other program has seen */
    size_t uid_count;
    bool uids_found; /* there was a list of them, even an empty one */
};

/* Where fetchmail delivered; the other programs write into files. */
struct import_destination {
    char *title;
    struct buf options;
};

struct import {
    char *home;
    char self[64];    /* root's name, whom a fetchrc of root's must name; "" for others */
    struct buf notes; /* "# ...\n", at the top */
    struct import_account *accounts;
    size_t account_count;
    struct import_destination *destinations;
    size_t destination_count;
    bool broken;
};

/* ---- import_text.c ---- */

void import_init(struct import *import);
void import_free(struct import *import);

/* An account with these names. title and host may be NULL; the title is made fit and unique. The pointer
 * holds until the next call; NULL when memory is short. */
struct import_account *import_account(struct import *import, const char *title, const char *host,
                                      const char *user);

/* The name under which the history knows it: user@host, and :port unless 110 or 995. */
#define IMPORT_IDENTITY_MAX 1024
bool import_identity(const struct import_account *account, char *dst, size_t size);

/* Take a port if text is the number of one. */
bool import_port(struct import_account *account, const char *text);

/* text without the blanks around it, cut in place. */
char *import_trim(char *text);

/* The title of a destination with these option lines, made if no other has the same. */
const char *import_destination(struct import *import, const char *options);

/* A line `name = "value"` into lines; a value that a fetchrc cannot hold becomes a note. value
 * NULL: nothing. */
void import_text(struct import *import, struct buf *lines, const char *name, const char *value);
void import_number(struct import *import, struct buf *lines, const char *name, unsigned long value);
void import_word(struct import *import, struct buf *lines, const char *name,
                 const char *value); /* without quotes */
/* Items separated by '\n' as `name = {"a", "b"}`. */
void import_list(struct import *import, struct buf *lines, const char *name, const char *items);

/* A comment in the account, or (account NULL) at the top. What stands in it is made fit for one line. */
void import_note(struct import *import, struct import_account *account, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* "~/x" with the home directory put in, newly allocated. */
char *import_path(struct import *import, const char *path);

/* keep = true or false. */
void import_keep(struct import *import, struct import_account *account, bool keep);

/* recipients, where the program delivered to whoever ran it. */
void import_self(struct import *import, struct import_account *account);

/* Octets as hex digits and colons, told to be SHA-256 by their number: becomes tls_fingerprint,
 * else a note. */
void import_fingerprint(struct import *import, struct import_account *account, const char *text);

/* strdup() that notes its failure. NULL stays NULL. */
char *import_copy(struct import *import, const char *text);
void import_print(struct import *import, struct buf *out, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What is written for all accounts when everything was read. */
void import_render(struct import *import, const char *head, struct buf *out);

/* ---- import_uids.c ---- */

/* Read a file of at most `cap` octets. Returns 0, or -1 with errno. */
int import_read(const char *path, size_t cap, struct buf *text);

/* Take the UIDs that the programs remember. A file that is not there is passed over. */
void import_fetchids(struct import *import, const char *path, size_t first_account);
void import_mpop_uids(struct import *import, struct import_account *account, const char *path);
void import_oldmail(struct import *import, struct import_account *account, const char *directory);

/* ---- one file a program: `text` is NUL-terminated and may be written to ---- */

void import_fetchmail(struct import *import, const char *path, char *text);
void import_mpop(struct import *import, const char *path, char *text);
void import_getmail(struct import *import, const char *path, char *text);

/* ---- import_fetchmail_lex.c ---- */

enum lex_kind {
    LEX_END,
    LEX_WORD,   /* unquoted: a keyword, number or name */
    LEX_STRING, /* quoted */
    LEX_EQUALS,
};

struct lex {
    char *at;
    char *text; /* the token, NUL-terminated in place, escapes undone */
    enum lex_kind kind;
    bool equals; /* the '=' behind the last token, where its NUL is now */
};

void lex_init(struct lex *lex, char *text);
void lex_next(struct lex *lex);

#endif
