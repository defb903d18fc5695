/* envelope: sender, recipients, trace header, loops and the XCLIENT hop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/envelope.h"
#include "mail/header.h"

static void addresses_that_may_stand_in_a_path(void **state)
{
    (void)state;
    assert_true(envelope_address_ok("thomas@gmx.de", false));
    assert_true(envelope_address_ok("a.b+c=d/e@x-y.example", false));
    assert_true(envelope_address_ok("a..b.@docomo.example", false));
    assert_true(envelope_address_ok("\"a b\\\"@(\"@x", false));
    assert_true(envelope_address_ok("a@[192.0.2.1]", false));
    assert_true(envelope_address_ok("a@[IPv6:2001:db8::1]", false));
    assert_true(envelope_address_ok("m\xC3\xBCller@b\xC3\xBC"
                                    "cher.example",
                                    false));
    assert_true(envelope_address_ok("thomas", true));
    assert_false(envelope_address_ok("thomas", false));
}

static void addresses_that_may_not(void **state)
{
    static const char *const bad[] = {
        "",
        "@",
        "a@",
        "@b",
        "a@b@c",
        "a b@c",
        "a@b c",
        "a@b>",
        "<a@b",
        "a@b\r\nRCPT TO:<c>",
        "a@.b",
        "a@b.",
        "a@b..c",
        "a@[",
        "a@[]",
        "a@[1 2]",
        "a@[1]x",
        "\"a@b",
        "\"a\"b@c",
        "\"\n\"@c",
        "\"a>\"@c",
        "a@b\x7F",
        "m\xFC@x",
        "\xC3",
        "a@\xE0\x80\x80",
        "a@\xED\xA0\x80",
        "a@\xF4\x90\x80\x80",
        "a,b@c",
        "(a)@c",
        "a@b:c",
        "\"",
        "\"\\",
    };
    char longest[300];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(envelope_address_ok(bad[i], true));
    memset(longest, 'a', sizeof(longest));
    longest[ENVELOPE_PATH_MAX - 3] = '\0';
    longest[10] = '@';
    assert_true(envelope_address_ok(longest, false));
    longest[ENVELOPE_PATH_MAX - 3] = 'a';
    longest[ENVELOPE_PATH_MAX - 2] = '\0';
    assert_false(envelope_address_ok(longest, false));
}

static void utf8_addresses_are_noticed(void **state)
{
    (void)state;
    assert_false(envelope_address_utf8("a@b"));
    assert_true(envelope_address_utf8("\xC3\xBC@b"));
}

static void expect_sender(const char *sender, const char *path, const char *expected)
{
    char dst[ENVELOPE_PATH_MAX];

    memset(dst, 'x', sizeof(dst));
    envelope_sender(sender, path, dst);
    assert_string_equal(dst, expected);
}

static void the_sender_is_the_return_path_or_what_the_fetchrc_says(void **state)
{
    (void)state;
    expect_sender("return-path", "a@b", "a@b");
    expect_sender("return-path", "", "");
    expect_sender("return-path", NULL, "");
    expect_sender("return-path", "@a,@b:c@d", "c@d");
    expect_sender("return-path", "thomas", "");
    expect_sender("return-path", "a@b> SIZE=1", "");
    expect_sender("return-path", "a@b\r\nDATA", "");
    expect_sender("<>", "a@b", "");
    expect_sender("c@d", "a@b", "c@d");
    expect_sender("thomas", NULL, "thomas");
}

/* Recipients and unknown addresses, each with '|' behind it. */
struct taken {
    char recipients[1024];
    char unknown[1024];
    size_t unknown_count;
};

static void take(void *context, const char *recipient)
{
    struct taken *taken = context;

    strcat(taken->recipients, recipient);
    strcat(taken->recipients, "|");
}

static void take_unknown(void *context, const char *address)
{
    struct taken *taken = context;

    taken->unknown_count++;
    if (strlen(taken->unknown) + strlen(address) + 2 < sizeof(taken->unknown)) {
        strcat(taken->unknown, address);
        strcat(taken->unknown, "|");
    }
}

static const struct envelope_map map[] = {
    {"@example.de", "catchall"},    {"anna@example.de", "anna"}, {"bert@example.de", "bert"},
    {"bert@example.de", "archive"}, {"a+b@example.de", "sub"},   {"@other.de", "anna"},
};
static const char *const fields[] = {"X-Original-To", "Delivered-To"};

static void expect_multidrop(const char *header, const char *recipients, const char *unknown)
{
    struct taken taken = {.recipients = ""};
    size_t count = 0;
    size_t i;

    for (i = 0; recipients[i] != '\0'; i++)
        count += recipients[i] == '|';
    assert_int_equal(envelope_multidrop(header, strlen(header), fields, 2, map, sizeof(map) / sizeof(map[0]),
                                        take, take_unknown, &taken),
                     count);
    assert_string_equal(taken.recipients, recipients);
    assert_string_equal(taken.unknown, unknown);
}

static void the_most_exact_rule_wins_whatever_the_case(void **state)
{
    (void)state;
    expect_multidrop("Delivered-To: anna@example.de\r\n", "anna|", "");
    expect_multidrop("Delivered-To: ANNA@Example.DE\r\n", "anna|", "");
    expect_multidrop("Delivered-To: carl@example.de\r\n", "catchall|", "");
    expect_multidrop("Delivered-To: bert@example.de\r\n", "bert|archive|", "");
    expect_multidrop("Delivered-To: a+b@example.de, a+c@example.de\r\n", "sub|catchall|", "");
    expect_multidrop("Delivered-To: carl@sub.example.de\r\n", "", "carl@sub.example.de|");
    expect_multidrop("Delivered-To: anna\r\n", "", "anna|");
}

static void a_star_rule_takes_the_rest(void **state)
{
    static const struct envelope_map star[] = {{"*", "rest"}, {"@example.de", "domain"}};
    static const char header[] = "Delivered-To: x@y, a@example.de, thomas\r\n";
    struct taken taken = {.recipients = ""};

    (void)state;
    assert_int_equal(
        envelope_multidrop(header, sizeof(header) - 1, fields, 2, star, 2, take, take_unknown, &taken), 2);
    assert_string_equal(taken.recipients, "rest|domain|");
}

static void the_first_named_field_that_is_there_decides(void **state)
{
    (void)state;
    expect_multidrop("Delivered-To: carl@example.de\r\nX-Original-To: anna@example.de\r\n", "anna|", "");
    expect_multidrop("To: bert@example.de\r\nCc: anna@example.de\r\n", "", "");
    expect_multidrop("delivered-to: anna@example.de\r\nDelivered-To: bert@example.de\r\n",
                     "anna|bert|archive|", "");
    expect_multidrop("A: b\r\n\r\nDelivered-To: anna@example.de\r\n", "", "");
}

static void recipients_are_taken_once(void **state)
{
    (void)state;
    expect_multidrop(
        "Delivered-To: anna@example.de, x@other.de, anna@example.de\r\nDelivered-To: y@other.de\r\n", "anna|",
        "");
}

static void address_lists_of_all_shapes(void **state)
{
    (void)state;
    expect_multidrop(
        "Delivered-To: Anna <anna@example.de>,\r\n\t\"Bert, B.\" (x, y <z@example.de>) <bert@example.de>\r\n",
        "anna|bert|archive|", "");
    expect_multidrop("Delivered-To: team: anna@example.de, <x@y.de>; (carl@example.de)\r\n", "anna|",
                     "x@y.de|");
    expect_multidrop("Delivered-To: <@relay.de,@b.de:anna@example.de>\r\n", "anna|", "");
    expect_multidrop("Delivered-To:\r\n anna@example.de (nested (and \\) more))\r\n", "anna|", "");
    expect_multidrop("Delivered-To: x@[IPv6:2001:db8::1]\r\n", "", "x@[IPv6:2001:db8::1]|");
}

static void hostile_lists_are_not_guessed_at(void **state)
{
    (void)state;
    expect_multidrop("Delivered-To: Anna anna@example.de\r\n", "", "");
    expect_multidrop("Delivered-To: <anna@example.de\r\n", "", "");
    expect_multidrop("Delivered-To: \"anna@example.de\r\n", "", "");
    expect_multidrop("Delivered-To: (anna@example.de\r\n", "", "");
    expect_multidrop("Delivered-To: <anna@example.de><bert@example.de>\r\n", "", "");
    expect_multidrop("Delivered-To: <anna@example.de><>\r\n", "", "");
    expect_multidrop("Delivered-To: (\r\nDelivered-To: anna@example.de\r\n", "anna|", "");
    expect_multidrop("Delivered-To: \"x@y, <anna@example.de>\" <z@y.de>\r\n", "", "z@y.de|");
    expect_multidrop("Delivered-To: an na@example.de,,;<>,@,:\r\n", "", "");
    expect_multidrop("Delivered-To: \"\r\nDelivered-To: anna@example.de\r\n", "anna|", "");
}

static void an_endless_list_is_cut(void **state)
{
    struct taken taken = {.recipients = ""};
    char *header = malloc(200000);
    size_t len;

    (void)state;
    assert_non_null(header);
    len = (size_t)sprintf(header, "Delivered-To: ");
    while (len < 190000)
        len += (size_t)sprintf(header + len, "x@y,");
    (void)envelope_multidrop(header, len, fields, 2, map, 2, take, take_unknown, &taken);
    assert_int_equal(taken.unknown_count, ENVELOPE_ADDRESSES_MAX);
    free(header);
}

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
        cmocka_unit_test(addresses_that_may_stand_in_a_path),
        cmocka_unit_test(addresses_that_may_not),
        cmocka_unit_test(utf8_addresses_are_noticed),
        cmocka_unit_test(the_sender_is_the_return_path_or_what_the_fetchrc_says),
        cmocka_unit_test(the_most_exact_rule_wins_whatever_the_case),
        cmocka_unit_test(a_star_rule_takes_the_rest),
        cmocka_unit_test(the_first_named_field_that_is_there_decides),
        cmocka_unit_test(recipients_are_taken_once),
        cmocka_unit_test(address_lists_of_all_shapes),
        cmocka_unit_test(hostile_lists_are_not_guessed_at),
        cmocka_unit_test(an_endless_list_is_cut),
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
