/* What the five files of the wire share: wire_connect.c (libcurl), wire_tls.c (certificates), wire_fault.c
 * (what went wrong before the dialogue), wire_mask.c (secrets that the server repeats), wire.c (the
 * dialogue).
 * Ownership, threads and errors: as in wire.h. */
#ifndef POPFERRY_PROTOCOL_WIRE_PRIVATE_H
#define POPFERRY_PROTOCOL_WIRE_PRIVATE_H

#include <curl/curl.h>

#include "base/buf.h"
#include "protocol/wire.h"

#define WIRE_SECRETS 8 /* of more the oldest is forgotten */
#define WIRE_EARLY_MAX (64 * 1024) /* octets before the dialogue is ours: greeting, capabilities, login */

struct wire_tls {
    const char *pin;   /* only while connecting */
    unsigned contexts; /* TLS handshakes begun */
    unsigned foreign;  /* of them the first are not the server's but an HTTPS proxy's */
    bool accepted;     /* the server's certificate passed the chain or the pin */
    int error;         /* X509_V_...: why the chain did not */
    struct wire_certificate certificate;
};

struct wire {
    CURL *easy;
    int socket;
    char *tag;
    char *host; /* or the path of a unix socket */
    unsigned port;
    enum fault_scope scope;
    enum wire_service service;
    enum tls_mode tls;
    unsigned timeout;
    bool tells; /* -vv */
    char address[64];
    const char *stage; /* what is waited for */
    unsigned number;
    int64_t stop_at; /* the end of all waits once a stop was asked for; 0: none was */

    /* While libcurl talks. */
    bool wants_login;
    bool authenticating; /* a secret was sent: what comes may repeat it, what follows may be one */
    bool greeted;
    size_t greeting_len;
    const char *early_fault; /* why wire_connect.c gave up on what it read; static text */
    struct buf early;
    char early_last[WIRE_REFUSAL_MAX];
    struct wire_tls check;
    struct buf secrets[WIRE_SECRETS]; /* of the login, as they are and as they were sent */
    size_t secret_count;

    /* The dialogue. Input waits in rx[rx_start..rx_end). */
    char *rx;
    size_t rx_size, rx_start, rx_end;
    bool rx_filled; /* the last read took all the room */
    uint64_t received;
    struct buf out;
    bool out_secret;
    bool closed;          /* the peer sends no more */
    bool broken;          /* sending failed: only what has come can be read */
    int64_t window_start; /* the 1 KiB rule: since when, and what had come by then */
    uint64_t window_received;
    char complaint[WIRE_REFUSAL_MAX]; /* the last line, if it was -ERR or 421 */
};

/* wire_tls.c: CA, pin, client certificate and the callbacks of `easy`. */
CURLcode wire_tls_setup(struct wire *wire, CURL *easy, const struct wire_params *params);

/* The sentence for CURLE_PEER_FAILED_VERIFICATION. Returns -1. */
int wire_tls_fault(const struct wire *wire, struct fault *fault);

/* wire.c: empty buffers. -1: memory is short. */
int wire_buffers_init(struct wire *wire);

/* wire_mask.c: wipe what wire_hide() keeps. */
void wire_forget_secrets(struct wire *wire);

/* wire_fault.c: why curl_easy_perform() failed, in words. detail: what libcurl says about it. Returns -1. */
int wire_connect_fault(const struct wire *wire, CURLcode code, const char *detail, struct fault *fault);

#endif
