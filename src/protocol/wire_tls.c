#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "base/hex.h"
#include "protocol/wire_private.h"

static void print_name(char *dst, size_t size, const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len;

    if (bio == NULL)
        return;
    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0) {
        len = BIO_get_mem_data(bio, &text);
        if (len > 0)
            (void)fault_quote(dst, size, text, (size_t)len);
    }
    (void)BIO_free(bio);
}

static void record(struct wire_certificate *certificate, X509 *x509, const SSL *ssl)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    struct tm end = {0};

    *certificate = (struct wire_certificate){.seen = true};
    print_name(certificate->subject, sizeof(certificate->subject), X509_get_subject_name(x509));
    print_name(certificate->issuer, sizeof(certificate->issuer), X509_get_issuer_name(x509));
    if (ASN1_TIME_to_tm(X509_get0_notAfter(x509), &end) == 1)
        certificate->not_after = (int64_t)timegm(&end);
    if (X509_digest(x509, EVP_sha256(), digest, &digest_len) == 1 && digest_len == 32)
        hex_write(certificate->fingerprint, digest, digest_len);
    if (ssl != NULL)
        (void)snprintf(certificate->tls_version, sizeof(certificate->tls_version), "%s",
                       SSL_get_version(ssl));
}

/* Stands in for OpenSSL's own check, so that the certificate is known also when it fails, and so that a pin
 * decides before the first octet of a login. */
static int verify(X509_STORE_CTX *store, void *context)
{
    struct wire *wire = context;
    struct wire_tls *check = &wire->check;
    X509 *x509 = X509_STORE_CTX_get0_cert(store);

    check->accepted = false;
    if (x509 == NULL)
        return 0;
    record(&check->certificate, x509,
           X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    if (check->pin != NULL) {
        check->accepted = check->certificate.fingerprint[0] != '\0' &&
                          strcasecmp(check->certificate.fingerprint, check->pin) == 0;
        check->error = check->accepted ? X509_V_OK : X509_V_ERR_APPLICATION_VERIFICATION;
        X509_STORE_CTX_set_error(store, check->error);
    } else {
        check->accepted = X509_verify_cert(store) == 1;
        check->error = X509_STORE_CTX_get_error(store);
    }
    return check->accepted ? 1 : 0;
}

static CURLcode on_context(CURL *easy, void *context, void *data)
{
    struct wire *wire = data;

    (void)easy;
    if (wire->check.contexts++ < wire->check.foreign)
        return CURLE_OK;
    /* Whoever sits in the middle may have written what was said in clear: only the greeting
     * stays, for APOP. */
    if (wire->tls == TLS_STARTTLS && wire->early.len > wire->greeting_len) {
        wire->early.len = wire->greeting_len;
        wire->early.data[wire->early.len] = '\0';
    }
    SSL_CTX_set_cert_verify_callback(context, verify, wire);
    /* libcurl would tell about every record to on_debug(), which does not care. */
    SSL_CTX_set_msg_callback(context, NULL);
    return CURLE_OK;
}

/* Whether the directory holds certificates under their hashes ("3513523f.0"). */
static bool hashed_directory(const char *path)
{
    DIR *dir = path == NULL ? NULL : opendir(path);
    const struct dirent *entry;
    bool found = false;

    if (dir == NULL)
        return false;
    while (!found && (entry = readdir(dir)) != NULL)
        found = strspn(entry->d_name, "0123456789abcdef") == 8 && entry->d_name[8] == '.' &&
                strspn(entry->d_name + 9, "0123456789") >= 1;
    (void)closedir(dir);
    return found;
}

/* Loading the whole bundle costs OpenSSL 3 tens of milliseconds and some megabytes for each connection; of a
 * hashed directory it reads only the certificates that it needs. */
static CURLcode set_authorities(CURL *easy, const struct wire_params *params)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    CURLcode code = CURLE_OK;

    if (params->tls_fingerprint != NULL || params->tls_ca_file != NULL) {
        code = curl_easy_setopt(easy, CURLOPT_CAINFO,
                                params->tls_fingerprint != NULL ? NULL : params->tls_ca_file);
        if (code == CURLE_OK)
            code = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    } else if (hashed_directory(info->capath)) {
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    }
    return code;
}

CURLcode wire_tls_setup(struct wire *wire, CURL *easy, const struct wire_params *params)
{
    CURLcode code = CURLE_OK;

#define SET(option, value) (code = code == CURLE_OK ? curl_easy_setopt(easy, option, value) : code)
    SET(CURLOPT_USE_SSL, (long)(params->tls == TLS_STARTTLS ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* A resumed handshake would show no certificate. */
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, params->tls_fingerprint != NULL ? 0L : 2L);
    SET(CURLOPT_SSL_CTX_FUNCTION, on_context);
    SET(CURLOPT_SSL_CTX_DATA, wire);
    if (params->tls_cert_file != NULL)
        SET(CURLOPT_SSLCERT, params->tls_cert_file);
    if (params->tls_key_file != NULL)
        SET(CURLOPT_SSLKEY, params->tls_key_file);
#undef SET
    wire->check.pin = params->tls_fingerprint;
    wire->check.foreign = params->proxy != NULL && strncasecmp(params->proxy, "https://", 8) == 0 ? 1 : 0;
    return code == CURLE_OK && params->tls != TLS_NONE ? set_authorities(easy, params) : code;
}

int wire_tls_fault(const struct wire *wire, struct fault *fault)
{
    const struct wire_certificate *certificate = &wire->check.certificate;
    const char *host = wire->host;
    enum fault_scope scope = wire->scope;

    if (!certificate->seen)
        return fault_set(fault, scope, FAULT_PROTOCOL, "TLS", "the certificate of %s cannot be checked",
                         host);
    if (wire->check.pin != NULL)
        return fault_set(fault, scope, FAULT_PROTOCOL, "TLS",
                         "the certificate of %s has the fingerprint sha256:%s and not the pinned one", host,
                         certificate->fingerprint);
    if (wire->check.error == X509_V_ERR_CERT_HAS_EXPIRED)
        return fault_set(fault, scope, FAULT_PROTOCOL, "TLS", "the certificate of %s (%s) has expired", host,
                         certificate->subject);
    if (wire->check.error == X509_V_OK)
        return fault_set(fault, scope, FAULT_PROTOCOL, "TLS",
                         "the certificate of %s (%s) does not match the host name", host,
                         certificate->subject);
    return fault_set(fault, scope, FAULT_PROTOCOL, "TLS", "certificate of %s: %s (fingerprint sha256:%s)",
                     host, X509_verify_cert_error_string(wire->check.error), certificate->fingerprint);
}
