/* What the tests of the wire's dialogue share beside the server: a plain stream to it, and lines from it. */
#ifndef POPFERRY_TESTS_UNIT_WIRE_CLIENT_H
#define POPFERRY_TESTS_UNIT_WIRE_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/wire.h"
#include "scripted_server.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A plain stream from the first octet on, as LMTP has it. */
static inline struct wire *open_to(struct server *server, const struct script *script, unsigned timeout)
{
    struct wire_params params = {.tag = "test",
                                 .scope = FAULT_OF_MAILBOX,
                                 .service = WIRE_LMTP,
                                 .host = "127.0.0.1",
                                 .timeout = timeout};
    struct fault fault;
    struct wire *wire;

    server_start(server, "127.0.0.1", script);
    params.port = server->port;
    if (wire_open(&wire, &params, &fault) < 0)
        fail_msg("%s", fault.text);
    wire_waiting_for(wire, "RETR", 12);
    return wire;
}

static inline void expect_line(struct wire *wire, const char *expect, size_t len)
{
    struct fault fault = {0};
    size_t got;
    char *line;

    if (wire_line(wire, &line, &got, NULL, 0, &fault) < 0)
        fail_msg("%s", fault.text);
    assert_int_equal(got, len);
    assert_memory_equal(line, expect, len + 1);
}

static inline void lose_line(struct wire *wire, enum fault_class class, const char *words)
{
    struct fault fault = {0};
    size_t len;
    char *line;

    assert_int_equal(wire_line(wire, &line, &len, NULL, 0, &fault), -1);
    assert_int_equal(fault.class, class);
    assert_int_equal(fault.scope, FAULT_OF_MAILBOX);
    assert_string_equal(fault.stage, "RETR");
    if (strstr(fault.text, words) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", fault.text, words);
}

static inline int set_up(void **state)
{
    struct fault fault;

    (void)state;
    return wire_global_init(&fault);
}

static inline int tear_down(void **state)
{
    (void)state;
    wire_global_cleanup();
    return 0;
}

#endif
