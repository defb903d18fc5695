#include "mail/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "mail/header.h"

/* One text that is gathered; too long a one is no address. */
struct gathered {
    char text[ENVELOPE_PATH_MAX];
    size_t len;
    bool broken;
};

/* An address list on its way (RFC 5322 section 3.4): what was read since the last comma. */
struct scan {
    struct gathered plain; /* outside angle brackets: an address, or a display name */
    struct gathered angle; /* between them */
    bool has_angle;
    bool in_angle;
    bool in_quotes;
    unsigned comments; /* open parentheses */
    void (*found)(void *context, const char *address);
    void *context;
};

/* The kinds of rules, most exact first. */
enum kind { KIND_ADDRESS, KIND_DOMAIN, KIND_ALL, KIND_COUNT };

struct lookup {
    const struct envelope_map *map;
    size_t map_count;
    bool *taken; /* by rule */
    size_t recipients;
    size_t addresses;
    void (*take)(void *context, const char *recipient);
    void (*unknown)(void *context, const char *address);
    void *context;
};

static void gather(struct gathered *gathered, char c)
{
    /* White space at the beginning is none; elsewhere it makes an address unreadable, rather than another
     * one. */
    if (c == ' ' && gathered->len == 0)
        return;
    if (gathered->len + 1 >= sizeof(gathered->text))
        gathered->broken = true;
    else
        gathered->text[gathered->len++] = c != '\0' ? c : ' ';
}

static void finish_address(struct scan *scan)
{
    struct gathered *gathered = scan->has_angle ? &scan->angle : &scan->plain;
    const char *address = gathered->text;
    const char *route_end;

    while (gathered->len > 0 && gathered->text[gathered->len - 1] == ' ')
        gathered->len--;
    gathered->text[gathered->len] = '\0';
    if (address[0] == '@' && (route_end = strchr(address, ':')) != NULL)
        address = route_end + 1;
    if (!gathered->broken && !scan->in_angle && !scan->in_quotes && envelope_address_ok(address, true))
        scan->found(scan->context, address);
    scan->plain.len = scan->angle.len = 0;
    scan->plain.broken = scan->angle.broken = false;
    scan->has_angle = scan->in_angle = false;
}

/* An octet outside quotes and comments. */
static void scan_open(struct scan *scan, char c)
{
    struct gathered *gathered = scan->in_angle ? &scan->angle : &scan->plain;

    if (c == '(') {
        scan->comments = 1;
    } else if (c == '"') {
        scan->in_quotes = true;
        gather(gathered, c);
    } else if (c == '<') {
        scan->angle.broken = scan->has_angle;
        scan->has_angle = scan->in_angle = true;
    } else if (c == '>' && scan->in_angle) {
        scan->in_angle = false;
    } else if ((c == ',' || c == ';') && !scan->in_angle) {
        finish_address(scan);
    } else if (c == ':' && !scan->in_angle && memchr(scan->plain.text, '[', scan->plain.len) == NULL) {
        scan->plain.len = 0; /* a group's name */
    } else {
        gather(gathered, c);
    }
}

static void scan_field(struct scan *scan, const struct header_field *field)
{
    size_t i;

    for (i = 0; i < field->body_len; i++) {
        char c = field->body[i];

        if (c == '\r' || c == '\n')
            continue;
        if (c == '\t')
            c = ' ';
        if (scan->comments > 0) {
            if (c == '\\')
                i++;
            else if (c == '(')
                scan->comments++;
            else if (c == ')')
                scan->comments--;
        } else if (scan->in_quotes) {
            gather(scan->in_angle ? &scan->angle : &scan->plain, c);
            if (c == '\\' && i + 1 < field->body_len)
                gather(scan->in_angle ? &scan->angle : &scan->plain, field->body[++i]);
            else if (c == '"')
                scan->in_quotes = false;
        } else {
            scan_open(scan, c);
        }
    }
    /* An open comment hides what it holds; open quotes and brackets make no address. */
    finish_address(scan);
    scan->in_quotes = false;
    scan->comments = 0;
}

/* Whether the rule is of this kind, and covers the address. */
static bool covers(const char *rule, enum kind kind, const char *address)
{
    const char *domain = strrchr(address, '@');

    if (kind == KIND_ALL)
        return strcmp(rule, "*") == 0;
    if (kind == KIND_DOMAIN)
        return rule[0] == '@' && domain != NULL && header_equal(domain, strlen(domain), rule);
    return rule[0] != '@' && rule[0] != '*' && header_equal(address, strlen(address), rule);
}

static bool already_taken(const struct lookup *lookup, const char *recipient)
{
    size_t i;

    for (i = 0; lookup->taken != NULL && i < lookup->map_count; i++) {
        if (lookup->taken[i] && strcmp(lookup->map[i].to, recipient) == 0)
            return true;
    }
    return false;
}

static void look_up(void *context, const char *address)
{
    struct lookup *lookup = context;
    bool covered = false;
    enum kind kind;
    size_t i;

    if (++lookup->addresses > ENVELOPE_ADDRESSES_MAX)
        return;
    for (kind = KIND_ADDRESS; kind < KIND_COUNT && !covered; kind++) {
        for (i = 0; i < lookup->map_count; i++) {
            if (!covers(lookup->map[i].from, kind, address))
                continue;
            covered = true;
            if (already_taken(lookup, lookup->map[i].to))
                continue;
            if (lookup->taken != NULL)
                lookup->taken[i] = true;
            lookup->recipients++;
            lookup->take(lookup->context, lookup->map[i].to);
        }
    }
    if (!covered)
        lookup->unknown(lookup->context, address);
}

size_t envelope_multidrop(const char *header, size_t len, const char *const *fields, size_t field_count,
                          const struct envelope_map *map, size_t map_count,
                          void (*take)(void *context, const char *recipient),
                          void (*unknown)(void *context, const char *address), void *context)
{
    struct lookup lookup = {map, map_count, NULL, 0, 0, take, unknown, context};
    struct scan scan = {.found = look_up, .context = &lookup};
    struct header_field field;
    size_t which = 0;
    size_t at = 0;

    while (which < field_count && header_count(header, len, fields[which]) == 0)
        which++;
    if (which == field_count)
        return 0;
    /* Without memory for it a recipient may be taken twice: better than not at all. */
    lookup.taken = calloc(map_count + 1, sizeof(*lookup.taken));
    while (header_next(header, len, &at, &field)) {
        if (header_is(&field, fields[which]))
            scan_field(&scan, &field);
    }
    free(lookup.taken);
    return lookup.recipients;
}
