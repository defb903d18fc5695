/* The fetchrc's vocabulary: every option is one row of a table. Constant data.
 * Threads: any. Errors: lookups give NULL. */
#ifndef POPFERRY_CONFIG_OPTIONS_H
#define POPFERRY_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_section { SECTION_TOP, SECTION_DESTINATION, SECTION_ACCOUNT, SECTION_OAUTH, SECTION_COUNT };

enum option_type {
    OPTION_TEXT,   /* char *, without control characters */
    OPTION_PATH,   /* char *, relative to the file that names it */
    OPTION_FILE,   /* the same, and readable when the fetchrc is loaded */
    OPTION_LIST,   /* struct config_list */
    OPTION_NUMBER, /* unsigned */
    OPTION_TIME,   /* seconds: unsigned or int64_t */
    OPTION_SIZE,   /* octets: uint64_t */
    OPTION_SWITCH, /* bool */
    OPTION_WORD,   /* one of `words`: an enum or bool */
    OPTION_MAP,    /* struct config_account's map and map_count, FROM=TO */
    OPTION_LINK,   /* the title of another section, looked up when all have been read */
};

struct option_word {
    const char *name; /* NULL ends the list */
    unsigned value;
};

struct option_row {
    const char *name;
    enum option_type type;
    size_t offset; /* of the value within its section's struct */
    size_t size;
    const char *fallback; /* the default as a fetchrc would write it; NULL: not set */
    uint64_t min, max;    /* of a number, time or size */
    const struct option_word *words;
    const char *(*check)(const char *value); /* what the value must be (static text), or NULL if it is */
    bool secret;                             /* its value is never quoted, not in part */
    bool guarded;                            /* nor may others read the file in which it stands */
    const char *help;
};

#define OPTION_MAX 64 /* rows a table may have */

struct option_table {
    const char *name; /* "account"; "" at the top */
    const struct option_row *rows;
    size_t count;
};

extern const struct option_table option_tables[SECTION_COUNT];

/* The row of that name, or -1. */
int option_find(enum option_section section, const char *name, size_t len);

/* nearest.c: the row that was probably meant; NULL where none is near. */
const struct option_row *option_nearest(enum option_section section, const char *name, size_t len);

/* The section kind of that name, and the one that was probably meant; SECTION_COUNT if there is none. */
enum option_section option_section_find(const char *name, size_t len);
enum option_section option_section_nearest(const char *name, size_t len);

/* Levenshtein's distance between a known name and what was written. */
unsigned option_distance(const char *known, const char *name, size_t len);

/* Whether that is so little that one was probably meant by the other. */
bool option_is_near(const char *known, const char *name, size_t len);

/* The name of an OPTION_WORD's value, for messages. */
const char *option_word_name(const struct option_word *words, unsigned value);

extern const struct option_word option_auth_words[];

#endif
