/* One message on its way: whole here before its first SMTP octet is sent.
 *
 * It is kept in SMTP form (see lines.h), in memory while small, then in an unlinked temporary file
 * ($TMPDIR, else /tmp), so that a 200 MB message costs no more memory than a small one.
 *
 * Ownership: message_new() gives it to the caller, message_free() takes it back; a message moves from
 * the mailbox's thread to a delivery session's, and has one owner at a time. Once finished it
 * is read-only and may be read by one thread. Errors: FAULT_OF_MESSAGE, but a temporary file that cannot be
 * made or written is FAULT_OF_RUN, FAULT_STATE (exit 74). */
#ifndef POPFERRY_MAIL_MESSAGE_H
#define POPFERRY_MAIL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"

#define MESSAGE_DIGEST_SIZE 32          /* SHA-256 */
#define MESSAGE_HEADER_MAX (256 * 1024) /* octets of a header that are looked at */
#define MESSAGE_MEMORY (1024 * 1024)    /* octets; beyond them a message goes to a temporary file */

struct message;

/* An empty message.
 * expected: the listed octets, a hint for the first allocation (0: unknown); beyond `memory` the message goes
 * to a file early.
 * memory: octets it may keep in memory before it goes to a file, at most MESSAGE_MEMORY; a header that is not
 * complete by then may take MESSAGE_HEADER_MAX.
 * cap: the most octets that may really come (counted as message_received() does); one more is a fault.
 * NULL when memory is short. */
struct message *message_new(uint64_t expected, size_t memory, uint64_t cap);
void message_free(struct message *message);

/* Take octets of the RETR or TOP answer as they come off the wire. Returns 1 when the
 * answer is complete (the message is finished then), 0 if more must come, -1 on a fault: the answer's rest is
 * then still on the wire. *used: how many of `len` were taken. */
int message_feed(struct message *message, const char *data, size_t len, size_t *used, struct fault *fault);

/* For texts made here (notices, tests): octets with any line ends, then message_finish(). */
int message_write(struct message *message, const char *data, size_t len, struct fault *fault);
int message_finish(struct message *message, struct fault *fault);

/* Of a finished message: */

/* The octets of the message before stuffing, as MAIL's SIZE counts them: without the taken-off Return-Path,
 * without a trace header. */
uint64_t message_octets(const struct message *message);

/* The octets that message_read() gives: the same with SMTP's stuffing. */
uint64_t message_stuffed_octets(const struct message *message);

/* The octets as they came, without POP3's stuffing and without the final dot's line: what the server should
 * have listed. */
uint64_t message_received(const struct message *message);

bool message_eightbit(const struct message *message);

/* SHA-256 over the message in SMTP form, Return-Path and all, without the header fields Status, X-Status and
 * X-UIDL, which POP3 servers write into it (MESSAGE_DIGEST_SIZE octets). Behind MESSAGE_HEADER_MAX octets no
 * field is looked for. */
const unsigned char *message_digest(const struct message *message);

/* The header's fields, *len octets and no NUL behind them: CRLF line ends, unstuffed, with the Return-Path,
 * without the blank line; cut at MESSAGE_HEADER_MAX. */
const char *message_header(const struct message *message, size_t *len);

/* The path of the header's first Return-Path field, without <>; "" for <>, and for one that no path can be
 * (over 511 octets); NULL if there is none. The field itself is left out of what message_read() gives, later
 * ones stay. */
const char *message_return_path(const struct message *message);

/* Read the SMTP form from octet `offset` of it into buf. Returns the octets read, 0 at the end, -1 on a
 * fault. */
long message_read(const struct message *message, uint64_t offset, char *buf, size_t size,
                  struct fault *fault);

/* The same without a copy for a message in memory: the parts before and behind the taken-off
 * Return-Path. Returns the number of parts (0 to 2), or -1 if the message is in a file. */
struct message_part {
    const char *data;
    size_t len;
};
int message_parts(const struct message *message, struct message_part parts[2]);

#endif
