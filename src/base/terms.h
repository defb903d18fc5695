/* Terms that the fetchrc and the protocol rooms share. Plain constants: no ownership, threads or errors. */
#ifndef POPFERRY_BASE_TERMS_H
#define POPFERRY_BASE_TERMS_H

/* RFC 8314: implicit TLS; RFC 2595 STLS and RFC 3207 STARTTLS; clear text. */
enum tls_mode {
    TLS_NONE,
    TLS_STARTTLS,
    TLS_IMPLICIT,
};

enum auth_mechanism {
    /* POP3: PLAIN, else USER over TLS; APOP, else PLAIN, else USER in clear. SMTP: PLAIN, LOGIN. */
    AUTH_AUTO,
    AUTH_PLAIN,       /* RFC 4616 */
    AUTH_LOGIN,
    AUTH_CRAM_MD5,    /* RFC 2195 */
    AUTH_APOP,        /* RFC 1939 section 7, POP3 only */
    AUTH_USER,        /* USER and PASS, RFC 1939 section 7, POP3 only */
    AUTH_OAUTHBEARER, /* RFC 7628 */
    AUTH_XOAUTH2,
    AUTH_EXTERNAL,    /* RFC 4422 appendix A */
};

#endif
