#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/values.h"

#define LIST_MAX 1000 /* items; beyond that it is no list for a fetchrc */
#define MAP_MAX 100000

/* Put the text in place of what is there. */
static int store_text(char **place, const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL)
        return -1;
    free(*place);
    *place = copy;
    return 0;
}

/* A pin is kept as bare lower-case digits, which is how certificates are compared. */
static void bare_digits(char *pin)
{
    char *to = pin;
    const char *from;

    for (from = pin + strlen("sha256:"); *from != '\0'; from++) {
        if (*from != ':')
            *to++ = (char)(*from >= 'A' && *from <= 'F' ? *from - 'A' + 'a' : *from);
    }
    *to = '\0';
}

/* "[::1]" is "::1": the brackets belong to URLs. */
static void bare_address(char *host)
{
    size_t len = strlen(host);

    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        memmove(host, host + 1, len - 2);
        host[len - 2] = '\0';
    }
}

static int store_checked(const struct option_row *row, char **place, const char *text)
{
    if (store_text(place, text) < 0)
        return -1;
    if (row->check == value_fingerprint)
        bare_digits(*place);
    else if (row->check == value_host)
        bare_address(*place);
    return 0;
}

static int add_to_list(struct config_list *list, const char *text, char *must, size_t size)
{
    char **items;
    size_t i;

    for (i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], text) == 0) {
            (void)snprintf(must, size, "named once only");
            return -1;
        }
    }
    if (list->count == LIST_MAX) {
        (void)snprintf(must, size, "one of at most %d", LIST_MAX);
        return -1;
    }
    items = reallocarray(list->items, list->count + 1, sizeof(*items));
    if (items == NULL)
        return -1;
    list->items = items;
    items[list->count] = strdup(text);
    if (items[list->count] == NULL)
        return -1;
    list->count++;
    return 0;
}

static int add_to_map(struct config_account *account, const char *rule, char *must, size_t size)
{
    struct config_map *map;
    struct config_map item;
    size_t from_len;

    if (!value_map(rule, &from_len) || value_recipient(rule + from_len + 1) != NULL) {
        (void)snprintf(must, size, "ADDRESS=RECIPIENT, @DOMAIN=RECIPIENT or *=RECIPIENT");
        return -1;
    }
    if (account->map_count == MAP_MAX) {
        (void)snprintf(must, size, "one of at most %d", MAP_MAX);
        return -1;
    }
    map = reallocarray(account->map, account->map_count + 1, sizeof(*map));
    if (map == NULL)
        return -1;
    account->map = map;
    item.from = strndup(rule, from_len);
    item.to = strdup(rule + from_len + 1);
    map[account->map_count] = item;
    account->map_count++; /* counted even if a half is missing: config_free() frees it */
    return item.from == NULL || item.to == NULL ? -1 : 0;
}

static void store_integer(void *place, size_t size, uint64_t value)
{
    uint32_t narrow = (uint32_t)value;

    if (size == sizeof(narrow))
        memcpy(place, &narrow, size);
    else
        memcpy(place, &value, sizeof(value));
}

static int store_number(const struct option_row *row, void *place, const char *text, char *must, size_t size)
{
    uint64_t value = 0;
    bool ok;

    if (row->type == OPTION_TIME)
        ok = value_time(text, &value);
    else if (row->type == OPTION_SIZE)
        ok = value_size(text, &value);
    else
        ok = value_number(text, &value);
    if (!ok || value < row->min || value > row->max) {
        if (row->type == OPTION_TIME)
            (void)snprintf(must, size,
                           "a time from %" PRIu64 " to %" PRIu64 " seconds, such as 60, 90s, 10m, 24h or 30d",
                           row->min, row->max);
        else if (row->type == OPTION_SIZE)
            (void)snprintf(must, size, "a size in octets, such as 500k, 25M or 1G");
        else
            (void)snprintf(must, size, "a whole number from %" PRIu64 " to %" PRIu64, row->min, row->max);
        return -1;
    }
    store_integer(place, row->size, value);
    return 0;
}

static int store_word(const struct option_row *row, void *place, const char *text, char *must, size_t size)
{
    const struct option_word *word;
    size_t used;

    for (word = row->words; word->name != NULL; word++) {
        if (strcmp(word->name, text) == 0) {
            bool flag = word->value != 0;
            if (row->size == sizeof(flag))
                memcpy(place, &flag, sizeof(flag));
            else
                store_integer(place, row->size, word->value);
            return 0;
        }
    }
    used = (size_t)snprintf(must, size, "one of");
    for (word = row->words; word->name != NULL && used < size; word++)
        used += (size_t)snprintf(must + used, size - used, "%s%s", word == row->words ? " " : ", ",
                                 word->name);
    return -1;
}

static int store_switch(void *place, const char *text, char *must, size_t size)
{
    bool on;

    if (!value_switch(text, &on)) {
        (void)snprintf(must, size, "true or false");
        return -1;
    }
    memcpy(place, &on, sizeof(on));
    return 0;
}

int value_store(const struct option_row *row, void *base, const char *text, char *must, size_t size)
{
    void *place = (char *)base + row->offset;
    const char *wrong = row->check == NULL ? NULL : row->check(text);

    must[0] = '\0';
    if (wrong == NULL && *text == '\0')
        wrong = value_text(text);
    if (wrong != NULL) {
        (void)snprintf(must, size, "%s", wrong);
        return -1;
    }
    switch (row->type) {
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_FILE:
        return store_checked(row, place, text);
    case OPTION_LIST:
        return add_to_list(place, text, must, size);
    case OPTION_MAP:
        return add_to_map(base, text, must, size);
    case OPTION_SWITCH:
        return store_switch(place, text, must, size);
    case OPTION_WORD:
        return store_word(row, place, text, must, size);
    case OPTION_NUMBER:
    case OPTION_TIME:
    case OPTION_SIZE:
        return store_number(row, place, text, must, size);
    case OPTION_LINK: /* the reader's own */
        break;
    }
    return -1;
}
