/* envelope: what comes out of any header is fit for a command line and for a header, and only from where it
 * may come. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/envelope.h"
#include "mail/header.h"

#define CHECK(what) ((what) ? (void)0 : abort())

static const struct envelope_map map[] = {
    {"anna@example.de", "anna"}, {"@example.de", "all"}, {"b@x", "anna"}};
static const char *const fields[] = {"X-Original-To", "Delivered-To"};
static const char *const trusted[] = {"mx.example", ".inside.example", "192.0.2.7"};

static void take(void *context, const char *recipient)
{
    size_t *taken = context;

    CHECK(recipient == map[0].to || recipient == map[1].to || recipient == map[2].to);
    (*taken)++;
}

static void unknown(void *context, const char *address)
{
    (void)context;
    CHECK(envelope_address_ok(address, true));
    CHECK(strpbrk(address, "\r\n<>") == NULL);
}

static void check_word(const char *word)
{
    CHECK(word[0] != '\0');
    for (; *word != '\0'; word++)
        CHECK(*word > ' ' && *word < 0x7F && strchr("()<>\"\\;=+", *word) == NULL);
}

static void check_client(const char *header, size_t len)
{
    struct envelope_client client;
    char text[800];

    if (!envelope_client(header, len, trusted, 3, &client)) {
        CHECK(client.reason != NULL && client.reason[0] != '\0');
        return;
    }
    CHECK(header_count(header, len, "Received") > 0);
    check_word(client.address);
    check_word(client.name);
    check_word(client.helo);
    CHECK(strcmp(client.address, "192.0.2.7") != 0 && strncmp(client.address, "127.", 4) != 0);
    CHECK(envelope_xtext(client.helo, text, sizeof(text)) && strcmp(text, client.helo) == 0);
}

/* One field, folded, however odd its parts. */
static void check_trace(const char *text)
{
    struct envelope_trace trace = {text, text, text, true, text, text, 1700000000};
    struct header_field field;
    struct buf out;
    size_t at = 0;

    buf_init(&out, ENVELOPE_TRACE_MAX);
    CHECK(envelope_trace_header(&out, &trace) == 0);
    CHECK(header_next(out.data, out.len, &at, &field) && at == out.len && header_is(&field, "Received"));
    for (at = 0; at < out.len; at++) {
        CHECK(out.data[at] != '\r' || out.data[at + 1] == '\n');
        CHECK(out.data[at] != '\n' ||
              (out.data[at - 1] == '\r' && (at + 1 == out.len || out.data[at + 1] == '\t')));
        CHECK(out.data[at] != '\0' && (unsigned char)out.data[at] < 0x7F);
    }
    buf_free(&out);
}

static void check_text(const char *text)
{
    char sender[ENVELOPE_PATH_MAX];

    envelope_sender("return-path", text, sender);
    CHECK(sender[0] == '\0' || envelope_address_ok(sender, false));
    envelope_sender(text, text, sender);
    CHECK(sender[0] == '\0' || envelope_address_ok(sender, true));
    check_trace(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *header = malloc(size + 1);
    char *text = malloc(size + 1);
    size_t taken = 0;

    memcpy(header, data, size);
    memcpy(text, data, size);
    text[size] = '\0';
    CHECK(envelope_multidrop(header, size, fields, 2, map, 3, take, unknown, &taken) == taken && taken <= 2);
    check_client(header, size);
    CHECK(!envelope_looped(header, size, "mx.example", 1) || envelope_looped(header, size, "mx.example", 0));
    CHECK(!envelope_looped(header, size, "mx.example", (unsigned)header_count(header, size, "Received")));
    check_text(text);
    free(header);
    free(text);
    return 0;
}
