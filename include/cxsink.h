/*
 * cxsink: takes interaction events from a NICE CXone Data Actions stream, validates them and upserts them
 * into a database. This is its C interface.
 *
 * Made by cbindgen from bindings/c/src; edit that, then run `make header`.
 */

#ifndef CXSINK_H
#define CXSINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of this header. */
#define CXSINK_VERSION_MAJOR 0
#define CXSINK_VERSION_MINOR 1
#define CXSINK_VERSION_PATCH 0
#define CXSINK_VERSION_STRING "0.1.0"
#define CXSINK_VERSION_NUMBER \
    (CXSINK_VERSION_MAJOR * 1000000 + CXSINK_VERSION_MINOR * 1000 + CXSINK_VERSION_PATCH)

/* True when the library that is loaded serves this header. Call it before anything else. */
#define CXSINK_CHECK_VERSION() cxsink_check_version(CXSINK_VERSION_NUMBER)


#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library as one number: major * 1000000 + minor * 1000 + patch, so 1.2.3 is 1002003.
 *
 * Ownership: none. Blocks: never. Threads: any. Errors: none.
 */
uint32_t cxsink_version_number(void);

/**
 * The version of the library as text, for example "1.2.3".
 *
 * Ownership: the text belongs to the library and lives as long as it is loaded; do not free it.
 * Blocks: never. Threads: any. Errors: none.
 */
const char *cxsink_version_string(void);

/**
 * Whether this library serves a program that was compiled with the header of version `header_number`
 * (see `CXSINK_CHECK_VERSION`, which passes its own). It does when both are of one series, which is the
 * major version (before 1.0 the minor version as well), and the library is not the older of the two.
 *
 * Ownership: none. Blocks: never. Threads: any. Errors: none.
 */
bool cxsink_check_version(uint32_t header_number);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CXSINK_H */
