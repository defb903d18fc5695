/* What the check_*.c files share: what was found out about an account or a destination, and how it is told.
 *
 * Ownership: a subject owns its findings and facts; check_free(). Threads: one. Errors: memory that runs
 * short costs a text, no more. */
#ifndef POPFERRY_COMMANDS_CHECK_PRIVATE_H
#define POPFERRY_COMMANDS_CHECK_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/fault.h"
#include "config/config.h"
#include "protocol/wire.h"
#include "store/history.h"

enum check_verdict {
    CHECK_OK,
    CHECK_NOTE,
    CHECK_WARNING, /* works, but not as it might be wished */
    CHECK_FAULT,
};

struct check_finding {
    const char *step; /* static text: "secret", "login", "CAPA", ... */
    enum check_verdict verdict;
    enum fault_class class;
    char *text;
    char *copy;   /* to be copied into the fetchrc, on a line of its own; NULL: nothing */
    char *advice; /* what to do; NULL: nothing */
};

struct check_subject {
    const char *kind; /* "account", "destination" or "fetchrc" */
    char *title; /* NULL: it needs none */
    char *where; /* identity, or host and port */
    struct check_finding *findings;
    size_t count;
    enum fault_class gravest;
    json_t *facts; /* numbers and lists, for programs */
};

struct check {
    const struct config *config;
    const char *state_dir;
    struct history *history; /* NULL: it cannot be read */
};

/* ---- check_report.c: findings, and the two forms in which they are told ---- */

void check_subject(struct check_subject *subject, const char *kind, const char *title, const char *where);
void check_free(struct check_subject *subject);

void check_found(struct check_subject *subject, const char *step, enum check_verdict verdict, const char *fmt,
                 ...) __attribute__((format(printf, 4, 5)));
void check_fault(struct check_subject *subject, const char *step, const struct fault *fault);

/* About the last finding: what to do, what to copy. */
void check_advise(struct check_subject *subject, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void check_copy(struct check_subject *subject, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The table, 80 columns wide. */
void check_print(const struct check_subject *subject);
json_t *check_json(const struct check_subject *subject);

/* ---- check_connect.c: what both ends have in common ---- */

/* How the connection went. wire: NULL if there is none, then `fault` says why. hint: what the provider wants
 * to be known; NULL: none. */
void check_connection(struct check_subject *subject, const struct config_peer *peer, const char *secret,
                      const struct wire_certificate *certificate, const struct wire *wire,
                      const struct fault *fault, const char *hint);

/* Where the secret comes from: "password_file /etc/pw"; "" where there is none. */
void check_describe_secret(const struct config_secret *secret, char *dst, size_t size);

/* ---- check_mailbox.c, check_destination.c ---- */

void check_mailbox(const struct check *check, const struct config_account *account,
                   struct check_subject *subject);

/* accounts: those that are checked; what they deliver to this destination is tried. */
void check_server(const struct check *check, const struct config_destination *destination,
                  const struct config_account *const *accounts, size_t count, struct check_subject *subject);

#endif
