#pragma once
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* What OpenSSL offers as macros only. */

static inline int egress_x509_count(const STACK_OF(X509) *stack) { return stack == NULL ? 0 : sk_X509_num(stack); }

static inline X509 *egress_x509_at(const STACK_OF(X509) *stack, int index) { return sk_X509_value(stack, index); }

static inline void egress_x509_stack_free(STACK_OF(X509) *stack) { sk_X509_pop_free(stack, X509_free); }

/* Whether the newest error says that an algorithm is not offered by the providers that are loaded. */
static inline int egress_error_is_unsupported(unsigned long code) { return ERR_GET_REASON(code) == ERR_R_UNSUPPORTED; }

/* Writes the reason of an error as text. */
static inline const char *egress_error_reason(unsigned long code) { return ERR_reason_error_string(code); }
