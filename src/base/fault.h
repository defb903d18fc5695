/* Faults: what went wrong, whom it concerns, and what a person should read about it.
 *
 * Every function that can fail returns 0 or -1 and describes the failure in its caller's
 * `struct fault`. The room that notices a fault only reports it; poll/ decides what it means.
 * Ownership: plain values, nothing to free. Threads: a struct fault belongs to one thread at a time. */
#ifndef POPFERRY_BASE_FAULT_H
#define POPFERRY_BASE_FAULT_H

#include <stddef.h>

/* Whom the fault concerns: everything wider than the scope goes on. */
enum fault_scope {
    FAULT_OF_MESSAGE,
    FAULT_OF_MAILBOX,
    FAULT_OF_DESTINATION,
    FAULT_OF_RUN,
};

/* What kind of fault it is. Each class has one exit status (sysexits), see fault_exit_status(). */
enum fault_class {
    FAULT_NONE,     /*  0 */
    FAULT_RETRY,    /* 75 passing: network, [IN-USE], 4xx */
    FAULT_REFUSED,  /* 65 refused for good by the SMTP server */
    FAULT_PROTOCOL, /* 76 a server broke the protocol; certificate, pin, missing STLS */
    FAULT_LOGIN,    /* 77 login refused, or no secret */
    FAULT_CONFIG,   /* 78 fetchrc */
    FAULT_STATE,    /* 74 state cannot be read or written */
    FAULT_INTERNAL, /* 70 */
    FAULT_USAGE,    /* 64 */
    FAULT_CLASSES,  /* how many there are */
};

struct fault {
    enum fault_scope scope;
    enum fault_class class;
    const char *stage; /* static text: "connect", "login", "RETR", "MAIL", "history", ... */
    char text[768];    /* a sentence without the account's name and without a final full stop */
};

/* Describe a fault. stage: static text. fmt: printf-style; the peer's words go through
 * fault_quote() first. Returns -1, so that a function can end with `return fault_set(...)`. */
int fault_set(struct fault *fault, enum fault_scope scope, enum fault_class class, const char *stage,
              const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Make `len` octets of a peer fit for a terminal, a log or JSON: control characters and what is no UTF-8
 * become '?', at most size-1 octets are kept (cut at a UTF-8 border, "..." marks the cut). Returns dst. */
char *fault_quote(char *dst, size_t size, const char *src, size_t len);

/* The exit status (sysexits) of a class. */
int fault_exit_status(enum fault_class class);

/* The graver of two classes, in the order 64 70 74 78 77 76 65 75 0. */
enum fault_class fault_graver(enum fault_class a, enum fault_class b);

/* A short stable key for logs and metrics: "retry", "refused", "protocol", "login", "config", "state",
 * "internal", "usage", "none". */
const char *fault_class_name(enum fault_class class);

#endif
