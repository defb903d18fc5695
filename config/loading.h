/* What the files of config/ share while a fetchrc is being read; nobody else includes this.
 *
 * A fetchrc goes through five hands: scan.c looks over the text for what libconfuse would pass over in
 * silence, read.c lets libconfuse read, take.c stores value by value, check.c looks at each section as a
 * whole, link.c at all of them. Whoever finds a mistake notes it and goes on. Threads: one. */
#ifndef POPFERRY_CONFIG_LOADING_H
#define POPFERRY_CONFIG_LOADING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config/config.h"
#include "config/options.h"

struct mistake {
    unsigned file; /* in config->files */
    int line;
    size_t order; /* of noting, among those of one line */
    char *text;
};

/* Where a section stands, and where in it each option was written: its line, 0 if it was not. */
struct written {
    unsigned file;
    int line;
    int at[OPTION_MAX];
    char *destination; /* titles, looked up by link.c */
    char *oauth;
};

/* A file that is being read. */
struct source {
    struct source *includer; /* NULL: the fetchrc */
    unsigned file;
    unsigned depth;
    dev_t device; /* with inode: what it is, whatever name it was given */
    ino_t inode;
    bool exposed;     /* group or others can read it */
    bool broken;      /* scan.c has told of a syntax error */
    int *unset_lines; /* where an unset variable left a value empty */
    size_t unset_count;
    int *section_lines; /* where each known section begins */
    size_t section_count;
    size_t sections_begun; /* of them, by read.c */
    bool unclosed;         /* the syntax error is within the last of them */
};

struct loading {
    char *value; /* where libconfuse leaves a value; first, so that read.c finds the rest from its address */
    struct config *config;
    struct cfg_t *root; /* libconfuse's */
    struct source *source;
    struct written top;
    struct written *destinations; /* beside the arrays of config */
    struct written *accounts;
    struct written *oauths;
    enum option_section section; /* the one being read, SECTION_TOP between them */
    struct mistake *mistakes;
    size_t mistake_count;
    char *user;  /* the default recipient; NULL: none */
    bool broken; /* a syntax error: what follows it was not read */
    bool out_of_memory;
};

/* mistakes.c: note one, tell them all in the order of the files. */
void mistake_note(struct loading *loading, unsigned file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void mistakes_sort(struct loading *loading);
void mistakes_free(struct loading *loading);

/* A value made fit for a message, in quotes. dst holds QUOTED_MAX octets. */
#define QUOTED_MAX 80
const char *mistake_quote(char *dst, const char *value, size_t len);

/* scan.c: note and blank what libconfuse must not see. text is NUL-terminated and is written to. */
void scan_text(struct loading *loading, char *text, size_t len);

/* read.c: read a file and what it includes. line: where it is included. */
void read_fetchrc(struct loading *loading, const char *path);

/* take.c: what has been read goes into struct config. -1: memory is short. Titles begin a section; a value
 * goes into the one that was begun, or to the top. row_index: in the section's table; assigned: with "=",
 * which may come once only. */
int take_defaults(struct loading *loading);
int take_section(struct loading *loading, enum option_section section, const char *title);
int take_value(struct loading *loading, size_t row_index, const char *value, int line, bool assigned);
void take_section_end(struct loading *loading);
/* "~/" is the home directory; what is relative is so to the file that names it. Newly allocated. */
char *take_path(const struct loading *loading, const char *path);
/* Whether the value is empty since a variable is not set, which scan.c has told. */
bool take_is_unset(const struct loading *loading, const char *value, int line);
/* An array with room for one item behind `count`, cleared; the room doubles. Where memory is short: the old
 * one, and *failed is set. */
void *take_grown(void *items, size_t count, size_t size, bool *failed);

/* check.c: fill in what was not written, then look at the section as a whole. */
void check_destination(struct loading *loading, struct config_destination *destination,
                       const struct written *written);
void check_account(struct loading *loading, struct config_account *account, const struct written *written);
void check_oauth(struct loading *loading, struct config_oauth *oauth, const struct written *written);

struct provider;
void check_oauth_fill(struct loading *loading, struct config_oauth *oauth, const struct provider *provider);

/* Whether the option was written. */
bool check_is_written(const struct written *written, enum option_section section, const char *name);
/* The line of the option, or of its section where it was not written. */
int check_line_of(const struct written *written, enum option_section section, const char *name);

/* link.c: titles to pointers, duplicates, defaults that need all sections. */
void link_sections(struct loading *loading);

#endif
