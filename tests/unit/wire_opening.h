/* What the tests of opening a wire share: POP3 servers, certificates, and how opening ends. */
#ifndef POPFERRY_TESTS_UNIT_WIRE_OPENING_H
#define POPFERRY_TESTS_UNIT_WIRE_OPENING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/wire.h"
#include "scripted_server.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define GREETING {.send = "+OK ready <1.2@pop>\r\n"}
#define CAPA {.expect = "CAPA", .send = "+OK\r\nUIDL\r\nSTLS\r\nSASL PLAIN CRAM-MD5\r\n.\r\n"}
#define BYE {.expect = "QUIT", .send = "+OK bye\r\n"}

static struct identity here, elsewhere, outdated;
static char refusal[WIRE_REFUSAL_MAX];

static inline struct wire_params pop3_params(const struct server *server)
{
    return (struct wire_params){.tag = "test",
                                .scope = FAULT_OF_MAILBOX,
                                .service = WIRE_POP3,
                                .host = "localhost",
                                .port = server->port,
                                .tls = TLS_NONE,
                                .timeout = 5,
                                .refusal = refusal};
}

static inline struct wire *must_open(const struct wire_params *params)
{
    struct fault fault = {0};
    struct wire *wire;

    if (wire_open(&wire, params, &fault) < 0)
        fail_msg("%s: %s", fault.stage, fault.text);
    return wire;
}

/* Opening fails like this; `words` stand somewhere in the sentence. */
static inline void must_fail(const struct wire_params *params, enum fault_class class, const char *stage,
                             const char *words)
{
    struct fault fault = {0};
    struct wire *wire;

    assert_int_equal(wire_open(&wire, params, &fault), -1);
    assert_null(wire);
    if (strstr(fault.text, words) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", fault.text, words);
    assert_string_equal(fault.stage, stage);
    assert_int_equal(fault.class, class);
    assert_int_equal(fault.scope, FAULT_OF_MAILBOX);
}

static inline void must_quit(struct wire *wire)
{
    struct fault fault = {0};
    char *line;
    size_t len;

    assert_int_equal(wire_command(wire, &fault, "QUIT"), 0);
    assert_int_equal(wire_line(wire, &line, &len, NULL, 0, &fault), 0);
    assert_string_equal(line, "+OK bye");
    wire_close(wire);
}

/* A server with this script, and what opening a wire to it brings. */
static inline void script_fails(const struct step *steps, size_t count, unsigned timeout,
                                enum fault_class class, const char *stage, const char *words)
{
    struct script script = {.steps = steps, .count = count, .tls = here.tls, .hold = true};
    struct server server;
    struct wire_params params;

    server_start(&server, "127.0.0.1", &script);
    params = pop3_params(&server);
    params.timeout = timeout;
    must_fail(&params, class, stage, words);
    assert_string_equal(server_join(&server), "");
}

static inline int set_up(void **state)
{
    struct fault fault;

    (void)state;
    identity_make(&here, "localhost", 86400);
    identity_make(&elsewhere, "elsewhere.example", 86400);
    identity_make(&outdated, "localhost", -3600);
    return wire_global_init(&fault);
}

static inline int tear_down(void **state)
{
    (void)state;
    identity_free(&here);
    identity_free(&elsewhere);
    identity_free(&outdated);
    wire_global_cleanup();
    return 0;
}

#endif
