/* What the tests of pop3 share beside the server: how it begins, and a session that is logged in. */
#ifndef POPFERRY_TESTS_UNIT_POP3_CLIENT_H
#define POPFERRY_TESTS_UNIT_POP3_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/pop3.h"
#include "scripted_server.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define GREETING {.send = "+OK ready\r\n"}
#define NO_CAPA {.expect = "CAPA", .send = "-ERR what\r\n"}
#define CAPA_PIPELINING {.expect = "CAPA", .send = "+OK\r\nUIDL\r\nPIPELINING\r\n.\r\n"}
#define CAPA_UIDL {.expect = "CAPA", .send = "+OK\r\nUIDL\r\n.\r\n"}
#define CAPA_PLAIN {.expect = "CAPA", .send = "+OK\r\nSASL CRAM-MD5 PLAIN\r\n.\r\n"}

static struct pop3_login login;

static inline struct pop3_params params_for(const struct server *server)
{
    return (struct pop3_params){.wire = {.tag = "test",
                                         .scope = FAULT_OF_MAILBOX,
                                         .service = WIRE_POP3,
                                         .host = "localhost",
                                         .port = server->port,
                                         .timeout = 5},
                                .auth = AUTH_AUTO,
                                .username = "mrose",
                                .password = "tanstaaf",
                                .login = &login};
}

struct fixture {
    struct server server;
    struct pop3 *pop3;
};

static inline void begin(struct fixture *fixture, const struct step *steps, size_t count,
                         enum pop3_pipelining pipelining)
{
    struct script script = {.steps = steps, .count = count, .hold = true};
    struct pop3_params params;
    struct fault fault;

    server_start(&fixture->server, "127.0.0.1", &script);
    params = params_for(&fixture->server);
    params.no_login = true;
    params.pipelining = pipelining;
    if (pop3_open(&fixture->pop3, &params, &fault) < 0)
        fail_msg("%s", fault.text);
}

static inline void end(struct fixture *fixture)
{
    pop3_close(fixture->pop3);
    assert_string_equal(server_join(&fixture->server), "");
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
