/* The values of options: from the text that stands in a fetchrc to what struct config holds.
 *
 * Pure, but for value_store() which allocates what it stores. Threads: any. The checks return NULL when the
 * value is good, else what it must be, as static text that completes "must be ...". */
#ifndef POPFERRY_CONFIG_VALUES_H
#define POPFERRY_CONFIG_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/options.h"

/* Whole numbers, sizes ("25M": octets, with k, M or G of 1024) and times ("10m": seconds, with s, m, h or d).
 * False if the text is none, or passes 64 bits. */
bool value_number(const char *text, uint64_t *number);
bool value_size(const char *text, uint64_t *octets);
bool value_time(const char *text, uint64_t *seconds);

/* true yes on, false no off, in any case of letters. */
bool value_switch(const char *text, bool *on);

const char *value_text(const char *value);         /* no control characters, not empty */
const char *value_host(const char *value);         /* a host name or IP address; UTF-8 allowed */
const char *value_trusted_host(const char *value); /* the same, a dot may go first */
const char *value_recipient(const char *value);    /* fit for RCPT (RFC 5321 4.1.2), or a bare local part */
const char *value_sender(const char *value);       /* "return-path", "<>" or fit for MAIL */
const char *value_header_name(const char *value);  /* RFC 5322 section 3.6.8 */
const char *value_fingerprint(const char *value);  /* sha256:HEX, colons allowed */
const char *value_https(const char *value);
const char *value_proxy(const char *value);
const char *value_credential(const char *value); /* a file name without a directory */
const char *value_socket(const char *value);     /* fits sun_path */

/* Split a map rule at the "=" that follows its address. False where there is none or a side cannot be. */
bool value_map(const char *rule, size_t *from_len);

/* Turn text into the row's type and store it in `base`, the struct of its section; lists and maps grow by one
 * item. Returns 0; or -1 with what the value must be in `must`; memory short: -1 with `must` empty. */
int value_store(const struct option_row *row, void *base, const char *text, char *must, size_t size);

#endif
