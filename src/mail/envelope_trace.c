#include "mail/envelope.h"

#include <stdio.h>
#include <string.h>

#include "mail/ip_address.h"

#define WORD_MAX 255 /* octets of a host name (RFC 5321 section 4.5.3.1.2) */
#define ID_MAX 64

/* What may stand in a domain or an atom of a Received field without ending or folding it. */
static void copy_word(const char *text, const char *fallback, char *dst, size_t max)
{
    size_t i;

    if (text == NULL || text[0] == '\0')
        text = fallback;
    for (i = 0; i < max && text[i] != '\0'; i++) {
        char c = text[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     strchr(".-_:[]", c) != NULL;

        dst[i] = plain ? c : '-';
    }
    dst[i] = '\0';
}

/* RFC 5322 section 3.3, whatever the locale: strftime() would translate the names. */
static void write_date(time_t when, char *dst, size_t size)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm = {.tm_mday = 1};
    long minutes;

    (void)localtime_r(&when, &tm);
    minutes = tm.tm_gmtoff / 60;
    (void)snprintf(dst, size, "%s, %d %s %04d %02d:%02d:%02d %c%02ld%02ld", days[tm.tm_wday], tm.tm_mday,
                   months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec,
                   minutes < 0 ? '-' : '+', (minutes < 0 ? -minutes : minutes) / 60,
                   (minutes < 0 ? -minutes : minutes) % 60);
}

/* The address literal of RFC 5321 section 4.1.3, "" if there is none. */
static void write_literal(const char *text, char *dst, size_t size)
{
    struct ip_address address;
    char printed[64];

    dst[0] = '\0';
    if (text == NULL || !ip_address_parse(text, strcspn(text, "%"), &address))
        return;
    ip_address_print(&address, "IPv6:", printed);
    (void)snprintf(dst, size, " ([%s])", printed);
}

int envelope_trace_header(struct buf *out, const struct envelope_trace *trace)
{
    char host[WORD_MAX + 1];
    char here[WORD_MAX + 1];
    char id[ID_MAX + 1];
    char literal[80];
    char date[64];
    bool named = trace->recipient != NULL && envelope_address_ok(trace->recipient, true) &&
                 !envelope_address_utf8(trace->recipient);

    copy_word(trace->pop3_host, "unknown", host, WORD_MAX);
    copy_word(trace->here, "localhost", here, WORD_MAX);
    copy_word(trace->id, "0", id, ID_MAX);
    write_literal(trace->pop3_address, literal, sizeof(literal));
    write_date(trace->when, date, sizeof(date));
    return buf_printf(out, "Received: from %s%s\r\n\tby %s with %s id %s%s%s%s;\r\n\t%s\r\n", host, literal,
                      here, trace->tls ? "POP3S" : "POP3", id, named ? "\r\n\tfor <" : "",
                      named ? trace->recipient : "", named ? ">" : "", date);
}
