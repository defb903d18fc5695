/* envelope: the trace header, loops, and the client that an XCLIENT hop names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "mail/envelope.h"
#include "mail/header.h"

static struct envelope_trace usual(void)
{
    return (struct envelope_trace){.pop3_host = "pop.gmx.net",
                                   .pop3_address = "212.227.17.185",
                                   .here = "ferry.example",
                                   .tls = true,
                                   .id = "5f.1",
                                   .recipient = "thomas@localhost",
                                   .when = 1700000000};
}

static void expect_trace(const struct envelope_trace *trace, const char *expected)
{
    struct buf out;

    buf_init(&out, ENVELOPE_TRACE_MAX);
    assert_int_equal(envelope_trace_header(&out, trace), 0);
    assert_string_equal(out.data, expected);
    buf_free(&out);
}

static void the_trace_header_is_well_formed(void **state)
{
    struct envelope_trace trace = usual();

    (void)state;
    expect_trace(&trace,
                 "Received: from pop.gmx.net ([212.227.17.185])\r\n\tby ferry.example with POP3S id 5f.1\r\n"
                 "\tfor <thomas@localhost>;\r\n\tTue, 14 Nov 2023 22:13:20 +0000\r\n");
    trace.pop3_address = "2001:db8::1";
    trace.tls = false;
    trace.recipient = NULL;
    expect_trace(
        &trace, "Received: from pop.gmx.net ([IPv6:2001:db8::1])\r\n\tby ferry.example with POP3 id 5f.1;\r\n"
                "\tTue, 14 Nov 2023 22:13:20 +0000\r\n");
}

static void the_date_has_the_zone_of_the_place(void **state)
{
    struct envelope_trace trace = usual();
    struct buf out;

    (void)state;
    buf_init(&out, ENVELOPE_TRACE_MAX);
    trace.when = 1699999999;
    (void)setenv("TZ", "XXX3:30", 1);
    tzset();
    assert_int_equal(envelope_trace_header(&out, &trace), 0);
    assert_non_null(strstr(out.data, "Tue, 14 Nov 2023 18:43:19 -0330\r\n"));
    (void)setenv("TZ", "XXX-5:45", 1);
    tzset();
    buf_clear(&out);
    assert_int_equal(envelope_trace_header(&out, &trace), 0);
    assert_non_null(strstr(out.data, "Wed, 15 Nov 2023 03:58:19 +0545\r\n"));
    (void)setenv("TZ", "UTC", 1);
    tzset();
    buf_free(&out);
}

static void odd_names_cannot_break_the_trace_header(void **state)
{
    struct envelope_trace trace = usual();

    (void)state;
    trace.pop3_host = "a b(\r\nX: y";
    trace.pop3_address = "fe80::1%eth0";
    trace.here = "";
    trace.id = "a;b";
    trace.recipient = "a@b>\r\nX: y";
    expect_trace(&trace, "Received: from a-b---X:-y ([IPv6:fe80::1])\r\n\tby localhost with POP3S id a-b;\r\n"
                         "\tTue, 14 Nov 2023 22:13:20 +0000\r\n");
    trace = usual();
    trace.pop3_address = "";
    trace.recipient = "m\xC3\xBCller@x";
    expect_trace(&trace, "Received: from pop.gmx.net\r\n\tby ferry.example with POP3S id 5f.1;\r\n"
                         "\tTue, 14 Nov 2023 22:13:20 +0000\r\n");
}

static void the_longest_trace_header_fits(void **state)
{
    struct envelope_trace trace = usual();
    char name[400];
    char recipient[ENVELOPE_PATH_MAX];
    struct buf out;

    (void)state;
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    memset(recipient, 'a', sizeof(recipient));
    recipient[ENVELOPE_PATH_MAX - 3] = '\0';
    trace.pop3_host = trace.here = trace.id = name;
    trace.recipient = recipient;
    trace.pop3_address = "2001:db8:1111:2222:3333:4444:5555:6666";
    buf_init(&out, ENVELOPE_TRACE_MAX);
    assert_int_equal(envelope_trace_header(&out, &trace), 0);
    assert_non_null(strstr(out.data, "for <aaa"));
    buf_free(&out);
}

static void our_own_trace_header_names_us(void **state)
{
    struct envelope_trace trace = usual();
    struct buf out;
    unsigned hops;

    (void)state;
    buf_init(&out, 100000);
    for (hops = 0; hops <= 3; hops++) {
        assert_int_equal(buf_puts(&out, "Received: from x by y\r\nReceived: by (x) ferry.example2; z\r\n"),
                         0);
        assert_false(envelope_looped(out.data, out.len, "FERRY.example", hops));
        assert_int_equal(envelope_trace_header(&out, &trace), 0);
        assert_true(envelope_looped(out.data, out.len, "FERRY.example", hops));
    }
    assert_false(envelope_looped(out.data, out.len, "", 0));
    buf_free(&out);
}

static const char *const trusted[] = {"mx.provider.example", ".inside.example", "198.51.100.7"};

/* The client as "address name helo", or "-" when there is none. */
static void expect_client(const char *header, const char *expected)
{
    struct envelope_client client;
    char got[800] = "-";

    if (envelope_client(header, strlen(header), trusted, 3, &client))
        (void)snprintf(got, sizeof(got), "%s %s %s", client.address, client.name, client.helo);
    else
        assert_non_null(client.reason);
    assert_string_equal(got, expected);
}

static void the_client_as_each_server_writes_it(void **state)
{
    (void)state;
    /* Postfix */
    expect_client("Received: from helo.example (rev.example [192.0.2.1])\r\n\t(using TLSv1.3 with cipher X "
                  "(256/256 bits)\r\n"
                  "\t key-exchange X25519)\r\n\t(No client certificate requested)\r\n\tby "
                  "mx.provider.example (Postfix) with "
                  "ESMTPS id 4Q\r\n\tfor <t@provider.example>; Mon, 1 Jan 2024 00:00:00 +0000 (UTC)\r\n",
                  "192.0.2.1 rev.example helo.example");
    expect_client("Received: from [10.1.1.1] (unknown [IPv6:2001:db8::1]) by mx.provider.example\r\n",
                  "IPV6:2001:db8::1 [UNAVAILABLE] [10.1.1.1]");
    /* Exim */
    expect_client("Received: from rev.example ([192.0.2.1] helo=helo.example)\r\n\tby mx.provider.example "
                  "with esmtps\r\n",
                  "192.0.2.1 rev.example helo.example");
    expect_client("Received: from [192.0.2.1] (port=2525 helo=[203.0.113.9])\r\n\tby mx.provider.example "
                  "with esmtp\r\n",
                  "192.0.2.1 [UNAVAILABLE] [203.0.113.9]");
    expect_client("Received: from [192.0.2.1] by mx.provider.example\r\n",
                  "192.0.2.1 [UNAVAILABLE] [192.0.2.1]");
    expect_client(
        "Received: from rev.example ([192.0.2.1] helo=h ident=joe@203.0.113.9) by mx.provider.example\r\n",
        "192.0.2.1 rev.example h");
    /* CommuniGate */
    expect_client("Received: from [192.0.2.1] (account joe HELO helo.example verified) by "
                  "mx.provider.example with ESMTPA\r\n",
                  "192.0.2.1 [UNAVAILABLE] helo.example");
    /* Sendmail */
    expect_client("Received: from helo.example (IDENT:joe@rev.example [192.0.2.1])\r\n\tby "
                  "mx.provider.example (8.15.2) with "
                  "ESMTP id x\r\n",
                  "192.0.2.1 rev.example helo.example");
    expect_client("Received: from helo.example (rev.example [192.0.2.1] (may be forged))\r\n\tby "
                  "mx.provider.example\r\n",
                  "192.0.2.1 [UNAVAILABLE] helo.example");
    /* qmail, whose name is not looked up again */
    expect_client(
        "Received: from unknown (HELO helo.example) (192.0.2.1)\r\n  by mx.provider.example with SMTP\r\n",
        "192.0.2.1 [UNAVAILABLE] helo.example");
    expect_client("Received: from rev.example (HELO helo.example) (joe@192.0.2.1)\r\n  by "
                  "mx.provider.example with SMTP\r\n",
                  "192.0.2.1 [UNAVAILABLE] helo.example");
    /* Exchange */
    expect_client("Received: from helo.example (192.0.2.1) by mx.provider.example\r\n (10.0.0.1) with "
                  "Microsoft SMTP Server\r\n",
                  "192.0.2.1 [UNAVAILABLE] helo.example");
    /* Gmail */
    expect_client("Received: from helo.example (rev.example. [192.0.2.1])\r\n        by mx.provider.example "
                  "with ESMTPS id x\r\n",
                  "192.0.2.1 rev.example helo.example");
    expect_client("Received: from helo.example (helo.example. [2001:db8::1])\r\n by mx.provider.example with "
                  "ESMTPS\r\n",
                  "IPV6:2001:db8::1 helo.example helo.example");
}

static void trusted_hops_are_stepped_over_from_the_top(void **state)
{
    static const char rest[] =
        "Received: from h.example (r.example [192.0.2.1]) by mx.provider.example; z\r\n"
        "Received: from evil (evil [192.0.2.66]) by mx.provider.example; z\r\n";
    static const char *const tops[] = {
        "",
        "Received: by store.inside.example (Dovecot) with LMTP id x; y\r\n",
        "Received: from mx.provider.example (MX.Provider.example [10.0.0.5]) by store.inside.example; y\r\n",
        "Received: from x (relay.inside.example. [10.0.0.5]) by STORE.inside.example.; y\r\n",
        "Received: from x (unknown [198.51.100.7]) by [198.51.100.7]; y\r\n",
    };
    char header[1024];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
        (void)snprintf(header, sizeof(header), "Subject: x\r\n%s%s", tops[i], rest);
        expect_client(header, "192.0.2.1 r.example h.example");
    }
}

static void nothing_an_attacker_can_write_is_believed(void **state)
{
    static const char forged[] = "Received: from a (a [203.0.113.9]) by mx.provider.example; z\r\n";
    static const char *const tops[] = {
        /* no trusted writer */
        "Received: from h (r [192.0.2.1]) by mx.provider.example.evil.example; y\r\n",
        "Received: from h (r [192.0.2.1]) by inside.example; y\r\n",
        "Received: from h (r [192.0.2.1]); y\r\n",
        "Received: (qmail 1 invoked by uid 89); y\r\n",
        "Received: from mx.provider.example (h [192.0.2.1]) (by mx.provider.example) with x\r\n",
        /* two readings */
        "Received: from h by mx.provider.example ([203.0.113.9]) by relay.example\r\n",
        "Received: from h (r [192.0.2.1]) by mx.provider.example by x\r\n",
        "Received: from h (r [192.0.2.1] [203.0.113.9]) by mx.provider.example\r\n",
        "Received: from h (r [192.0.2.1]) ([203.0.113.9]) by mx.provider.example\r\n",
        "Received: from [192.0.2.1] (helo=x ident=y [203.0.113.9]) by mx.provider.example\r\n",
        "Received: from h [203.0.113.9] (r [192.0.2.1]) by mx.provider.example\r\n",
        "Received: from h (x\\) (r [192.0.2.1]) by mx.provider.example\r\n",
        "Received: from h (r [192.0.2.1] by mx.provider.example\r\n",
        "Received: from h) (r [192.0.2.1]) by mx.provider.example\r\n",
        /* no address */
        "Received: from h by mx.provider.example\r\n",
        "Received: from 192.0.2.1 by mx.provider.example\r\n",
        "Received: from h (HELO 203.0.113.9) by mx.provider.example\r\n",
    };
    char header[1024];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
        (void)snprintf(header, sizeof(header), "%s%s", tops[i], forged);
        expect_client(header, "-");
    }
    /* A name beside another comment's address is not its name. */
    expect_client("Received: from h (mx.provider.example) ([192.0.2.1]) by mx.provider.example\r\n",
                  "192.0.2.1 [UNAVAILABLE] h");
    /* A HELO that sounds trusted is a client's all the same; so is a reverse name that nobody verified. */
    (void)snprintf(header, sizeof(header),
                   "Received: from mx.provider.example (r [192.0.2.1]) by mx.provider.example\r\n%s", forged);
    expect_client(header, "192.0.2.1 r mx.provider.example");
    (void)snprintf(header, sizeof(header),
                   "Received: from mx.provider.example (HELO mx.provider.example) (192.0.2.1) by "
                   "mx.provider.example\r\n%s",
                   forged);
    expect_client(header, "192.0.2.1 [UNAVAILABLE] mx.provider.example");
    (void)snprintf(
        header, sizeof(header),
        "Received: from x (mx.provider.example [192.0.2.1] (may be forged)) by mx.provider.example\r\n%s",
        forged);
    expect_client(header, "192.0.2.1 [UNAVAILABLE] x");
    expect_client("Subject: x\r\n", "-");
    expect_client("", "-");
}

static void private_addresses_are_no_clients(void **state)
{
    static const char *const addresses[] = {
        "127.0.0.1",       "127.255.0.1",     "10.0.0.1",    "172.16.0.1",  "172.31.255.255",
        "192.168.1.1",     "100.64.0.1",      "100.127.1.1", "169.254.1.1", "0.0.0.0",
        "224.0.0.1",       "255.255.255.255", "::1",         "::",          "fe80::1",
        "febf::1",         "fc00::1",         "fdff::1",     "ff02::1",     "::ffff:127.0.0.1",
        "::FFFF:10.0.0.1",
    };
    static const char *const global[] = {"172.32.0.1", "172.15.0.1", "100.63.0.1", "100.128.0.1",
                                         "11.0.0.1",   "192.0.2.1",  "126.0.0.1"};
    char header[200];
    char expected[100];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        (void)snprintf(header, sizeof(header), "Received: from h (r [%s]) by mx.provider.example\r\n",
                       addresses[i]);
        expect_client(header, "-");
    }
    for (i = 0; i < sizeof(global) / sizeof(global[0]); i++) {
        (void)snprintf(header, sizeof(header), "Received: from h (r [%s]) by mx.provider.example\r\n",
                       global[i]);
        (void)snprintf(expected, sizeof(expected), "%s r h", global[i]);
        expect_client(header, expected);
    }
    expect_client("Received: from h (r [::ffff:192.0.2.1]) by mx.provider.example\r\n", "192.0.2.1 r h");
    expect_client("Received: from h (r [192.0.2.256]) by mx.provider.example\r\n", "-");
}

static void xtext_escapes_what_it_must(void **state)
{
    char dst[12];

    (void)state;
    assert_true(envelope_xtext("a+b=c d\xFC", dst, sizeof(dst)) == false);
    assert_true(envelope_xtext("a+b=c", dst, sizeof(dst)));
    assert_string_equal(dst, "a+2Bb+3Dc");
    assert_true(envelope_xtext("\n\xFC", dst, 7));
    assert_string_equal(dst, "+0A+FC");
    assert_false(envelope_xtext("\n\xFC", dst, 6));
    assert_true(envelope_xtext("", dst, 1));
    assert_false(envelope_xtext("", dst, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_trace_header_is_well_formed),
        cmocka_unit_test(the_date_has_the_zone_of_the_place),
        cmocka_unit_test(odd_names_cannot_break_the_trace_header),
        cmocka_unit_test(the_longest_trace_header_fits),
        cmocka_unit_test(our_own_trace_header_names_us),
        cmocka_unit_test(the_client_as_each_server_writes_it),
        cmocka_unit_test(trusted_hops_are_stepped_over_from_the_top),
        cmocka_unit_test(nothing_an_attacker_can_write_is_believed),
        cmocka_unit_test(private_addresses_are_no_clients),
        cmocka_unit_test(xtext_escapes_what_it_must),
    };

    (void)setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
