/* A server on loopback that follows a script, for the tests of wire and pop3: one connection, one thread.
 *
 * Each step first expects a line (or none), waits, then sends. What goes wrong in the thread is told when the
 * test joins it. */
#ifndef POPFERRY_TESTS_UNIT_SCRIPTED_SERVER_H
#define POPFERRY_TESTS_UNIT_SCRIPTED_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct step {
    const char *expect; /* a line without CRLF; NULL: none is read; "*": any */
    const char *send;   /* NULL: nothing */
    size_t len;         /* of send; 0: up to its NUL */
    unsigned delay_ms;  /* before sending */
    unsigned drip_ms;   /* before each octet */
    unsigned repeat;    /* send it so many times more; a peer that has gone ends that */
    bool start_tls;     /* after sending */
    bool alone;         /* nothing more may have come before this is answered */
};

struct script {
    const struct step *steps;
    size_t count;
    SSL_CTX *tls; /* for implicit TLS and start_tls */
    bool implicit;
    bool hold;        /* at the end wait for the client to close; else close at once */
    int small_buffer; /* SO_SNDBUF and SO_RCVBUF, 0: the system's */
    size_t swallow;   /* octets to read and drop before the end */
};

struct server {
    struct script script;
    int listener;
    int peer;
    unsigned port;
    char path[108]; /* of a unix socket */
    pthread_t thread;
    SSL *ssl;
    char failure[512];
    size_t lines; /* read */
};

static inline ssize_t server_read(struct server *server, char *data, size_t len)
{
    return server->ssl != NULL ? SSL_read(server->ssl, data, (int)len) : recv(server->peer, data, len, 0);
}

static inline bool server_write(struct server *server, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = server->ssl != NULL ? SSL_write(server->ssl, data, (int)len)
                                        : send(server->peer, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static inline bool server_expect(struct server *server, const char *expect)
{
    char line[1024];
    size_t len = 0;

    while (len < sizeof(line) - 1 && server_read(server, line + len, 1) == 1)
        if (line[len++] == '\n')
            break;
    line[len] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    if (len > 0)
        server->lines++;
    if (len > 0 && (strcmp(expect, "*") == 0 || strcmp(expect, line) == 0))
        return true;
    (void)snprintf(server->failure, sizeof(server->failure), "expected \"%.200s\", got \"%.200s\"", expect,
                   line);
    return false;
}

static inline bool server_start_tls(struct server *server)
{
    server->ssl = SSL_new(server->script.tls);
    return server->ssl != NULL && SSL_set_fd(server->ssl, server->peer) == 1 && SSL_accept(server->ssl) == 1;
}

static inline bool server_is_quiet(struct server *server)
{
    char octet;

    (void)usleep(20000);
    if (recv(server->peer, &octet, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
        return true;
    (void)snprintf(server->failure, sizeof(server->failure), "the next command did not wait");
    return false;
}

static inline bool server_step(struct server *server, const struct step *step)
{
    size_t len = step->send == NULL ? 0 : step->len != 0 ? step->len : strlen(step->send);
    unsigned turn;
    size_t i;

    if (step->expect != NULL && !server_expect(server, step->expect))
        return false;
    if (step->alone && !server_is_quiet(server))
        return false;
    (void)usleep(step->delay_ms * 1000);
    for (turn = 0; turn <= step->repeat; turn++) {
        if (step->drip_ms == 0 && len > 0 && !server_write(server, step->send, len))
            return true;
        for (i = 0; step->drip_ms != 0 && i < len; i++) {
            (void)usleep(step->drip_ms * 1000);
            if (!server_write(server, step->send + i, 1))
                return true;
        }
    }
    return !step->start_tls || server_start_tls(server);
}

static inline void *server_run(void *context)
{
    struct server *server = context;
    struct timeval patience = {.tv_sec = 10};
    bool good = true;
    char junk[65536];
    size_t i;

    server->peer = accept(server->listener, NULL, NULL);
    if (server->peer < 0)
        return NULL;
    (void)setsockopt(server->peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(server->peer, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (server->script.small_buffer != 0)
        (void)setsockopt(server->peer, SOL_SOCKET, SO_SNDBUF, &server->script.small_buffer, sizeof(int));
    if (server->script.implicit)
        good = server_start_tls(server);
    for (i = 0; good && i < server->script.count; i++)
        good = server_step(server, &server->script.steps[i]);
    while (good && server->script.swallow > 0) {
        ssize_t n = server_read(server, junk, sizeof(junk));
        if (n <= 0)
            (void)snprintf(server->failure, sizeof(server->failure), "%zu octets are missing",
                           server->script.swallow);
        good = n > 0;
        server->script.swallow -= n > 0 ? (size_t)n : 0;
    }
    while (good && server->script.hold && server_read(server, junk, sizeof(junk)) > 0)
        ;
    if (server->ssl != NULL)
        (void)SSL_shutdown(server->ssl);
    SSL_free(server->ssl);
    (void)close(server->peer);
    return NULL;
}

static inline void server_begin(struct server *server, const struct script *script)
{
    server->script = *script;
    (void)signal(SIGPIPE, SIG_IGN); /* SSL_write() to a peer that has gone */
    assert_true(server->listener >= 0);
    assert_int_equal(listen(server->listener, 4), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, server_run, server), 0);
}

/* address: "127.0.0.1" or "::1". */
static inline void server_start(struct server *server, const char *address, const struct script *script)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    bool six = strchr(address, ':') != NULL;
    socklen_t len = six ? sizeof(in6) : sizeof(in);
    struct sockaddr *at = six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;

    *server = (struct server){0};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listener = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listener, at, len), 0);
    assert_int_equal(getsockname(server->listener, at, &len), 0);
    server->port = ntohs(six ? in6.sin6_port : in.sin_port);
    server_begin(server, script);
}

static inline void server_start_unix(struct server *server, const struct script *script)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    *server = (struct server){0};
    (void)snprintf(server->path, sizeof(server->path), "/tmp/popferry-unit-%ld.sock", (long)getpid());
    (void)unlink(server->path);
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", server->path);
    server->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&un, sizeof(un)), 0);
    server_begin(server, script);
}

/* Ends the thread. Returns what went wrong in it, "" if nothing. */
static inline const char *server_join(struct server *server)
{
    (void)shutdown(server->listener, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    if (server->path[0] != '\0')
        (void)unlink(server->path);
    return server->failure;
}

/* ---- certificates ---- */

struct identity {
    SSL_CTX *tls;
    char file[64];        /* the certificate, as a CA file */
    char fingerprint[65]; /* SHA-256, lower-case hex */
};

/* A self-signed certificate for `name` that is valid for `seconds` from now (negative: it has expired). */
static inline void identity_make(struct identity *identity, const char *name, long seconds)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    unsigned char sum[32];
    X509_EXTENSION *extension;
    char alternative[300];
    FILE *file;
    int i;
    int fd;

    assert_non_null(key);
    (void)X509_set_version(x509, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(x509), random() % 100000 + 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(x509), -86400);
    (void)X509_gmtime_adj(X509_getm_notAfter(x509), seconds);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                                     (const unsigned char *)name, -1, -1, 0);
    (void)X509_set_issuer_name(x509, X509_get_subject_name(x509));
    (void)X509_set_pubkey(x509, key);
    (void)snprintf(alternative, sizeof(alternative), "DNS:%s", name);
    extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternative);
    (void)X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
    (void)X509_digest(x509, EVP_sha256(), sum, NULL);
    for (i = 0; i < 32; i++)
        (void)snprintf(identity->fingerprint + i * 2, 3, "%02x", sum[i]);
    (void)snprintf(identity->file, sizeof(identity->file), "/tmp/popferry-unit-XXXXXX");
    fd = mkstemp(identity->file);
    assert_true(fd >= 0);
    file = fdopen(fd, "w");
    (void)PEM_write_X509(file, x509);
    (void)fclose(file);
    identity->tls = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(identity->tls, x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(identity->tls, key), 1);
    X509_free(x509);
    EVP_PKEY_free(key);
}

static inline void identity_free(struct identity *identity)
{
    SSL_CTX_free(identity->tls);
    (void)unlink(identity->file);
}

#endif
