/*
 * cxsink: reads interaction events from a NICE CXone Data Actions stream, validates them and upserts them into
 * a database. This is its C interface; docs/c.md is the guide.
 *
 *     cxsink_config *config = cxsink_config_new();
 *     cxsink_sink *sink = NULL;
 *     cxsink_notice *notice = NULL;
 *     if (cxsink_config_load(config, "cxsink.toml", NULL) == CXSINK_STATUS_OK
 *         && cxsink_sink_open(config, &sink, NULL) == CXSINK_STATUS_OK
 *         && cxsink_sink_start(sink, NULL) == CXSINK_STATUS_OK)
 *         while (cxsink_sink_poll(sink, CXSINK_FOREVER, &notice, NULL) == CXSINK_STATUS_OK) {
 *             puts(cxsink_notice_json(notice, NULL));
 *             cxsink_notice_free(&notice);
 *         }
 *     cxsink_sink_free(&sink);
 *     cxsink_config_free(&config);
 *
 * Rules of every function:
 *
 * - Status. Most functions return a cxsink_status, with the details in *err; err may be NULL. Every call first sets *out
 *   and *err to NULL.
 * - Ownership. The caller owns *out and *err: free each by the function of its type. That takes the address of the
 *   variable, accepts NULL, and sets the variable to NULL. A returned const char * belongs to the object that it came
 *   from, and lives as long as it; never free it. Arguments are copied.
 * - NULL for a required handle, text or result is CXSINK_STATUS_INVALID_ARGUMENT, never a crash.
 * - Text is UTF-8 and ends with a NUL character.
 * - Numbers of an enumeration are passed as uint32_t, and are never reused.
 * - The library prints nothing and installs no signal handler. A bug in cxsink that would end a Rust program becomes
 *   CXSINK_STATUS_PANIC, or a sink that ends as failed.
 * - After fork(), the child cannot use handles of its parent: the status is CXSINK_STATUS_FORKED.
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

/* True if the loaded library serves this header. Call it before anything else. */
#define CXSINK_CHECK_VERSION() cxsink_check_version(CXSINK_VERSION_NUMBER)

/* A timeout_ms that waits without limit. */
#define CXSINK_FOREVER (-1)

/* A count that selects every dead letter. */
#define CXSINK_ALL SIZE_MAX


/**
 * The outcome of a call. From 10 on the call has failed, and `cxsink_error` has the details.
 *
 * A newer library may have further numbers: treat an unknown one as a failure.
 */
enum cxsink_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The call succeeded.
     */
    CXSINK_STATUS_OK = 0,
    /**
     * The time given to the call has passed.
     */
    CXSINK_STATUS_TIMEOUT = 1,
    /**
     * The sink has ended, and every notice was fetched.
     */
    CXSINK_STATUS_CLOSED = 2,
    /**
     * An argument is invalid: NULL, not UTF-8, out of range.
     */
    CXSINK_STATUS_INVALID_ARGUMENT = 10,
    /**
     * A configuration value is unknown, missing or bad.
     */
    CXSINK_STATUS_CONFIG = 11,
    /**
     * The state of the sink does not allow the call, for example ingest after close.
     */
    CXSINK_STATUS_STATE = 12,
    /**
     * The handle was used in a forked child process.
     */
    CXSINK_STATUS_FORKED = 13,
    /**
     * CXone refused the credentials, the token or the scope.
     */
    CXSINK_STATUS_AUTH = 20,
    /**
     * A connection could not be made or was lost.
     */
    CXSINK_STATUS_CONNECT = 21,
    /**
     * The answer of the server violates the protocol.
     */
    CXSINK_STATUS_PROTOCOL = 22,
    /**
     * The event is not JSON.
     */
    CXSINK_STATUS_JSON = 30,
    /**
     * The event violates the JSON Schema.
     */
    CXSINK_STATUS_SCHEMA = 31,
    /**
     * The event is valid, but one of its values does not fit its column.
     */
    CXSINK_STATUS_UNMAPPED = 32,
    /**
     * The destination failed, or its table does not match the configuration.
     */
    CXSINK_STATUS_DATABASE = 40,
    /**
     * The destination refused a row for its content.
     */
    CXSINK_STATUS_CONSTRAINT = 41,
    /**
     * The spool file cannot be used.
     */
    CXSINK_STATUS_SPOOL = 50,
    /**
     * A bug in cxsink.
     */
    CXSINK_STATUS_INTERNAL = 90,
    /**
     * A bug in cxsink: it panicked. The process continues, and spooled events are safe.
     */
    CXSINK_STATUS_PANIC = 91,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum cxsink_status cxsink_status;
#else
typedef uint32_t cxsink_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The parts of a deployment to check; add up the flags.
 */
enum cxsink_check_flag
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The spool: directory, file, lock and free space.
     */
    CXSINK_CHECK_FLAG_SPOOL = 1,
    /**
     * The token endpoint: name, TCP, proxy, TLS, a token, and the server's clock.
     */
    CXSINK_CHECK_FLAG_OAUTH = 2,
    /**
     * The stream: name, TCP, proxy, TLS, and the handshake. The stream is opened and closed again at once.
     */
    CXSINK_CHECK_FLAG_STREAM = 4,
    /**
     * The destination: name, TCP, login, TLS, table, columns, key, privileges, checkpoint, clock.
     */
    CXSINK_CHECK_FLAG_DESTINATION = 8,
    /**
     * All of them.
     */
    CXSINK_CHECK_FLAG_ALL = 15,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum cxsink_check_flag cxsink_check_flag;
#else
typedef uint32_t cxsink_check_flag;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The level of a log record. As a maximum, it includes every lower number.
 */
enum cxsink_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Nothing.
     */
    CXSINK_LOG_LEVEL_OFF = 0,
    /**
     * Bugs.
     */
    CXSINK_LOG_LEVEL_ERROR = 1,
    /**
     * Needs attention: outages, dead letters, settings without effect.
     */
    CXSINK_LOG_LEVEL_WARN = 2,
    /**
     * Occasional events: connections, tokens, states.
     */
    CXSINK_LOG_LEVEL_INFO = 3,
    /**
     * Details for finding the cause of a problem.
     */
    CXSINK_LOG_LEVEL_DEBUG = 4,
    /**
     * More details.
     */
    CXSINK_LOG_LEVEL_TRACE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum cxsink_log_level cxsink_log_level;
#else
typedef uint32_t cxsink_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The kind of a notice.
 */
enum cxsink_notice_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The sink's state changed: `cxsink_notice_get_state`.
     */
    CXSINK_NOTICE_KIND_STATE = 1,
    /**
     * An event became a dead letter.
     */
    CXSINK_NOTICE_KIND_REJECTED = 2,
    /**
     * Something failed: `cxsink_notice_get_error`. The sink continues by itself, unless its state becomes failed.
     */
    CXSINK_NOTICE_KIND_ERROR = 3,
    /**
     * The statistics, every ten seconds from the start on, while the application polls.
     */
    CXSINK_NOTICE_KIND_STATS = 4,
    /**
     * A batch was committed.
     */
    CXSINK_NOTICE_KIND_STORED = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum cxsink_notice_kind cxsink_notice_kind;
#else
typedef uint32_t cxsink_notice_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The dead letters to delete; add up the flags.
 */
enum cxsink_purge_flag
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Those that were exported.
     */
    CXSINK_PURGE_FLAG_EXPORTED = 1,
    /**
     * Those that were replayed.
     */
    CXSINK_PURGE_FLAG_REPLAYED = 2,
    /**
     * Those that were neither. Their events are lost.
     */
    CXSINK_PURGE_FLAG_UNSEEN = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum cxsink_purge_flag cxsink_purge_flag;
#else
typedef uint32_t cxsink_purge_flag;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A counter of a sink. Whenever no batch is in progress,
 * received + recovered + replayed = inserted + updated + unchanged + confirmed + coalesced + dead_lettered + superseded + pending.
 */
enum cxsink_counter
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Events accepted from the stream or from the application, since the sink was opened.
     */
    CXSINK_COUNTER_RECEIVED = 0,
    /**
     * Events found in the spool when it was opened that were not committed to the table yet.
     */
    CXSINK_COUNTER_RECOVERED = 1,
    /**
     * Events of dead letters appended to the spool again by a replay, since the sink was opened.
     */
    CXSINK_COUNTER_REPLAYED = 2,
    /**
     * Events that made a new row.
     */
    CXSINK_COUNTER_INSERTED = 3,
    /**
     * Events that changed a row.
     */
    CXSINK_COUNTER_UPDATED = 4,
    /**
     * Events that left their row as it was (`destination.update` = `changed` or `newer`, or nothing to update).
     */
    CXSINK_COUNTER_UNCHANGED = 5,
    /**
     * Events of an in-doubt transaction that turned out to be committed: inserted, updated or unchanged, it is not known which.
     */
    CXSINK_COUNTER_CONFIRMED = 6,
    /**
     * Events coalesced into a later one of the same key in the same batch.
     */
    CXSINK_COUNTER_COALESCED = 7,
    /**
     * Events kept as dead letters.
     */
    CXSINK_COUNTER_DEAD_LETTERED = 8,
    /**
     * Replayed events that left their row as it was: a later event of their key had been written.
     */
    CXSINK_COUNTER_SUPERSEDED = 14,
    /**
     * Events in the spool that are not committed to the table yet: the lag.
     */
    CXSINK_COUNTER_PENDING = 9,
    /**
     * Connections to the stream opened because the one before was lost or closed. A planned one, which takes over before the
     * token expires (`stream.renew_before_expiry`), does not count; its token does, in `token_renewals`.
     */
    CXSINK_COUNTER_RECONNECTS = 10,
    /**
     * Tokens fetched after the first.
     */
    CXSINK_COUNTER_TOKEN_RENEWALS = 11,
    /**
     * Transactions committed.
     */
    CXSINK_COUNTER_BATCHES = 12,
    /**
     * Notices dropped because the application did not poll in time.
     */
    CXSINK_COUNTER_NOTICES_DROPPED = 13,
    /**
     * Messages of the stream: those with events, and the ignored ones. A message has one event unless `[event]` says otherwise.
     */
    CXSINK_COUNTER_MESSAGES = 15,
    /**
     * Messages of the stream without an event: answers, heartbeats, those of `stream.ignore`, arrays without elements.
     */
    CXSINK_COUNTER_IGNORED = 16,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum cxsink_counter cxsink_counter;
#else
typedef uint32_t cxsink_counter;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The state of a sink.
 */
enum cxsink_state
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Opened, not started.
     */
    CXSINK_STATE_OPEN = 0,
    /**
     * Events are read and committed.
     */
    CXSINK_STATE_RUNNING = 1,
    /**
     * Events are read, but the destination takes no rows, or the spool accepts no events. They wait in the spool or at the server.
     */
    CXSINK_STATE_STALLED = 2,
    /**
     * Nothing is read any more; spooled events are being committed.
     */
    CXSINK_STATE_STOPPING = 3,
    /**
     * Ended as requested.
     */
    CXSINK_STATE_CLOSED = 4,
    /**
     * Ended by an error; spooled events are safe.
     */
    CXSINK_STATE_FAILED = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum cxsink_state cxsink_state;
#else
typedef uint32_t cxsink_state;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The bytes of a result: JSON, SQL, or an event. A NUL character follows the last one, so that text is a C string.
 */
typedef struct cxsink_buffer cxsink_buffer;

/**
 * The configuration of a sink: the keys and values of docs/configuration.md, and a callback for the log.
 */
typedef struct cxsink_config cxsink_config;

/**
 * The dead letters of a spool file, also while a sink, here or in another process, has it open.
 */
typedef struct cxsink_dead_letters cxsink_dead_letters;

/**
 * An error: what failed, the reason, and what to do next. It contains neither secrets nor values of events.
 */
typedef struct cxsink_error cxsink_error;

/**
 * Something that happened, taken by `cxsink_sink_poll`.
 */
typedef struct cxsink_notice cxsink_notice;

/**
 * A sink: reads the stream into the table, through the spool. Every function except `cxsink_sink_free` may be called from
 * any thread at any time.
 */
typedef struct cxsink_sink cxsink_sink;

/**
 * Validates events against the configured schema, without a sink and a spool.
 */
typedef struct cxsink_validator cxsink_validator;

/**
 * Called for each log record. `target` is the part of the library that logs, for example "cxsink::writer"; `message` is one
 * line of UTF-8, `len` bytes long; both end with a NUL character and live until the callback returns. `level` is a
 * cxsink_log_level.
 *
 * Any thread of the library, and any thread that calls the library, may call it, several at the same time. It may call
 * `cxsink_sink_counter`, `cxsink_sink_state`, `cxsink_sink_stop` and the functions for names and versions; the others fail
 * with CXSINK_STATUS_STATE or do nothing. Records that these calls would log on this thread are omitted. The sink waits for
 * the callback, so it should be quick. It must not throw or longjmp.
 */
typedef void (*cxsink_log_fn)(uint32_t level,
                              const char *target,
                              const char *message,
                              size_t len,
                              void *user_data);

/**
 * Called once, when `user_data` is not needed any more.
 */
typedef void (*cxsink_free_fn)(void *user_data);

/**
 * Reads bytes: writes at most `capacity` of them to `buffer` and returns their number, 0 at the end, or a negative number
 * if they cannot be read. It must not throw or longjmp.
 */
typedef ptrdiff_t (*cxsink_read_fn)(char *buffer, size_t capacity, void *user_data);

/**
 * Called after each step of a check, with one JSON object of `len` bytes, which ends with a NUL character and lives until
 * the callback returns. It must not throw or longjmp.
 */
typedef void (*cxsink_step_fn)(const char *step, size_t len, void *user_data);

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

/**
 * The name of a status, for example "INVALID_ARGUMENT"; "UNKNOWN" for a number that this library does not know.
 *
 * Ownership: the text belongs to the library and lives as long as it is loaded; do not free it.
 * Blocks: never. Threads: any. Errors: none.
 */
const char *cxsink_status_name(uint32_t status);

/**
 * The name of a state, for example "running"; "UNKNOWN" for a number that this library does not know.
 *
 * Ownership: the text belongs to the library and lives as long as it is loaded; do not free it.
 * Blocks: never. Threads: any. Errors: none.
 */
const char *cxsink_state_name(uint32_t state);

/**
 * The name of a counter, for example "dead_lettered", as in the JSON of `cxsink_sink_stats`; "UNKNOWN" for a
 * number that this library does not know. The numbers are consecutive: a loop from 0 to the first unknown one visits
 * them all.
 *
 * Ownership: the text belongs to the library and lives as long as it is loaded; do not free it.
 * Blocks: never. Threads: any. Errors: none.
 */
const char *cxsink_counter_name(uint32_t counter);

/**
 * The name of a kind of notice, for example "rejected", as in the member kind of its JSON; "UNKNOWN" for a number
 * that this library does not know.
 *
 * Ownership: the text belongs to the library and lives as long as it is loaded; do not free it.
 * Blocks: never. Threads: any. Errors: none.
 */
const char *cxsink_notice_kind_name(uint32_t kind);

/**
 * The status that the failed call returned. NULL: CXSINK_STATUS_OK.
 *
 * Ownership: none. Blocks: never. Threads: any. Errors: none.
 */
cxsink_status cxsink_error_status(const cxsink_error *error);

/**
 * The message, `what failed: reason`, in one line. NULL: the empty text.
 *
 * Ownership: the text belongs to the error and lives until that is freed.
 * Blocks: never. Threads: any. Errors: none.
 */
const char *cxsink_error_message(const cxsink_error *error);

/**
 * The hint: how to fix it; the empty text if unknown, and for NULL.
 *
 * Ownership: the text belongs to the error and lives until that is freed.
 * Blocks: never. Threads: any. Errors: none.
 */
const char *cxsink_error_hint(const cxsink_error *error);

/**
 * Everything as one JSON object: kind, code, message, retryable, and, if known, hint, sqlstate, constraint, column,
 * http_status, close_code (RFC 6455 section 7.4), index and violations, each with pointer, keyword and message.
 * NULL: the empty text.
 *
 * Ownership: the text belongs to the error and lives until that is freed.
 * Blocks: never. Threads: any. Errors: none.
 */
const char *cxsink_error_detail_json(const cxsink_error *error);

/**
 * Whether the same call may succeed later without a change: the server was unreachable or busy. NULL: false.
 *
 * Ownership: none. Blocks: never. Threads: any. Errors: none.
 */
bool cxsink_error_is_retryable(const cxsink_error *error);

/**
 * After `cxsink_sink_ingest_many`, the index, from 0, of the first event that was not accepted; every event before it was
 * accepted. UINT64_MAX for other errors, and for NULL.
 *
 * Ownership: none. Blocks: never. Threads: any. Errors: none.
 */
uint64_t cxsink_error_index(const cxsink_error *error);

/**
 * Frees the error and sets the variable to NULL. Accepts NULL, and a variable that is NULL.
 *
 * Ownership: takes the error; its texts become invalid. Do not free an error that belongs to a notice.
 * Blocks: never. Threads: any, once. Errors: none.
 */
void cxsink_error_free(cxsink_error **error);

/**
 * The bytes. `len`, if it is not NULL, gets their number, without the NUL character after them.
 * NULL: the empty text.
 *
 * Ownership: the bytes belong to the buffer and live until that is freed.
 * Blocks: never. Threads: any. Errors: none.
 */
const char *cxsink_buffer_data(const cxsink_buffer *buffer, size_t *len);

/**
 * Frees the buffer and sets the variable to NULL. Accepts NULL, and a variable that is NULL.
 *
 * Ownership: takes the buffer; its bytes become invalid. Blocks: never. Threads: any, once. Errors: none.
 */
void cxsink_buffer_free(cxsink_buffer **buffer);

/**
 * A configuration with the defaults. `cxsink_config_set` sets keys; `cxsink_config_load` and `cxsink_config_load_env` read
 * them.
 *
 * Ownership: yours; free it by `cxsink_config_free`. A sink has a copy: it may be freed or changed after
 * `cxsink_sink_open`. Blocks: never. Threads: any; the configuration itself is for one thread at a time.
 * Errors: none; NULL only after a bug in cxsink.
 */
cxsink_config *cxsink_config_new(void);

/**
 * Frees the configuration and sets the variable to NULL. Accepts NULL, and a variable that is NULL.
 *
 * Ownership: takes the configuration. Blocks: while its log callback runs on another thread, if no sink has that
 * callback any more. Threads: any, last. Errors: none; within a log callback it does nothing.
 */
void cxsink_config_free(cxsink_config **config);

/**
 * Sets a key, for example "spool.bytes_max" to "1GiB". Durations are written as "500ms" or "30s", sizes as "64MiB",
 * switches as "true", lists and tables as inline TOML. An empty value removes an optional one. After an error nothing has changed.
 * "streams.NAME.KEY" sets what one of several streams has of its own, for example "streams.sales.destination.table".
 *
 * Ownership: key and value are copied. Blocks: never. Threads: one at a time for a configuration.
 * Errors: CONFIG for an unknown key, with the nearest known one, or a bad value; INVALID_ARGUMENT.
 */
cxsink_status cxsink_config_set(cxsink_config *config,
                                const char *key,
                                const char *value,
                                cxsink_error **err);

/**
 * The value of a key, as for `cxsink_config_set`. A secret is shown as "***", also the password in a URL.
 * `*out` stays NULL if the key is not set.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: one at a time for a
 * configuration. Errors: INVALID_ARGUMENT, also for an unknown key.
 */
cxsink_status cxsink_config_get(const cxsink_config *config,
                                const char *key,
                                cxsink_buffer **out,
                                cxsink_error **err);

/**
 * Every key, as a JSON array of texts: ["oauth.url", "oauth.client_id", ...].
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: any. Errors: INVALID_ARGUMENT.
 */
cxsink_status cxsink_config_keys(cxsink_buffer **out,
                                 cxsink_error **err);

/**
 * Reads a TOML file, then the file .env in the working directory, if it exists, then the environment; each overrides the
 * one before. All earlier settings are replaced, except the log callback. After an error nothing has changed.
 *
 * Ownership: path is copied. Blocks: while it reads the files. Threads: one at a time for a configuration, and not
 * while another thread changes the environment. Errors: CONFIG, naming file and line or the variable;
 * INVALID_ARGUMENT.
 */
cxsink_status cxsink_config_load(cxsink_config *config,
                                 const char *path,
                                 cxsink_error **err);

/**
 * As `cxsink_config_load`, without a TOML file.
 *
 * Ownership: none. Blocks: while it reads the file. Threads: one at a time for a configuration, and not while another
 * thread changes the environment. Errors: CONFIG, naming the variable; INVALID_ARGUMENT.
 */
cxsink_status cxsink_config_load_env(cxsink_config *config,
                                     cxsink_error **err);

/**
 * Checks that the configuration is complete and its values agree. `cxsink_sink_open` does this first.
 *
 * Ownership: none. Blocks: never. Threads: one at a time for a configuration. Errors: CONFIG, naming the key;
 * INVALID_ARGUMENT.
 */
cxsink_status cxsink_config_validate(const cxsink_config *config, cxsink_error **err);

/**
 * The names of the streams, as a JSON array of texts in the order in which the configuration names them: ["sales", ...]. Empty for a
 * configuration of one stream, without a name.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: one at a time for a
 * configuration. Errors: INVALID_ARGUMENT.
 */
cxsink_status cxsink_config_stream_names(const cxsink_config *config,
                                         cxsink_buffer **out,
                                         cxsink_error **err);

/**
 * The configuration of one of several streams, for a sink of its own: the whole one, with what the stream has of its own in its place,
 * and with the same log callback. "stream.name" is the name, and "spool.path" gets the name before its extension, unless the stream has
 * one of its own.
 *
 * Sinks of the streams of one configuration share a token where the sections [oauth], [tls] and [proxy] are equal.
 *
 * Ownership: name is copied; `*out` is yours; free it by `cxsink_config_free`. Blocks: never. Threads: one at a time for a
 * configuration. Errors: CONFIG for an unknown name, with the nearest known one; INVALID_ARGUMENT.
 */
cxsink_status cxsink_config_for_stream(const cxsink_config *config,
                                       const char *name,
                                       cxsink_config **out,
                                       cxsink_error **err);

/**
 * Sends the log to a callback: records up to `max_level` (a cxsink_log_level) of the calls with this configuration, and of
 * sinks opened with it from now on. Without a callback nothing is logged. NULL for `fn` removes the callback; the arguments
 * after it are ignored then.
 *
 * Ownership: on success the library owns user_data, and calls free_user_data with it once, if that is not NULL: when the
 * configuration and every sink with this callback have been freed, or have another one. After that, the callback is never
 * called. On an error user_data stays yours.
 * Blocks: as `cxsink_config_free`, when it replaces another callback. Threads: one at a time for a configuration; see
 * cxsink_log_fn for the callback. Errors: INVALID_ARGUMENT; STATE within a log callback.
 */
cxsink_status cxsink_config_set_log(cxsink_config *config,
                                    uint32_t max_level,
                                    cxsink_log_fn fn,
                                    void *user_data,
                                    cxsink_free_fn free_user_data,
                                    cxsink_error **err);

/**
 * Checks the configuration, compiles the schema and opens the spool. Starts nothing and connects to nothing.
 *
 * Ownership: `*out` is yours; free it by `cxsink_sink_free`. The configuration is copied.
 * Blocks: while it reads files. Threads: any. Errors: CONFIG for a bad configuration or schema; SPOOL for a spool that
 * cannot be used, for example because another process has it open; INVALID_ARGUMENT.
 */
cxsink_status cxsink_sink_open(const cxsink_config *config,
                               cxsink_sink **out,
                               cxsink_error **err);

/**
 * Connects to the destination and starts reading the stream, on threads of its own. A sink starts once.
 *
 * An unreachable destination is not an error: events wait in the spool, and the state is stalled. Without a stream in the
 * configuration, the sink accepts events from the application only.
 *
 * Ownership: none. Blocks: while it connects and reads the table definition, for destination.connect_timeout and a few
 * destination.statement_timeout at most, or until `cxsink_sink_stop`. Threads: any.
 * Errors: CONFIG for a configured file or address that cannot be used; DATABASE for a table that does not exist or does
 * not match the configuration, or refused credentials; both end the sink as failed. STATE after the first call; FORKED,
 * INVALID_ARGUMENT.
 */
cxsink_status cxsink_sink_start(cxsink_sink *sink,
                                cxsink_error **err);

/**
 * Waits for the next notice: CXSINK_STATUS_OK with a notice in `*out`, CXSINK_STATUS_TIMEOUT if none came in time,
 * CXSINK_STATUS_CLOSED once the sink has ended and every notice was fetched. The last two leave `*err` NULL.
 *
 * After the start, a CXSINK_NOTICE_KIND_STATS comes every ten seconds at least; before the start, there are no notices.
 * The sink works without polling: its queue of notices is bounded, and drops the oldest ones first, errors and states last.
 *
 * Ownership: `*out` is yours; free it by `cxsink_notice_free`. Blocks: for timeout_ms milliseconds at most; 0 does not
 * wait, -1 waits until there is a notice or the sink has ended. Threads: any; each notice goes to one of them.
 * Errors: FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_sink_poll(cxsink_sink *sink,
                               int32_t timeout_ms,
                               cxsink_notice **out,
                               cxsink_error **err);

/**
 * Accepts an event, `len` bytes of JSON, from the application. It is validated at once, and then takes the same path as an event
 * of the stream. On CXSINK_STATUS_OK it is in the spool; spool.sync sets what it survives. It is an event, not a message: the
 * section `[event]` of the configuration does not apply.
 *
 * Ownership: the event is copied. Blocks: while the spool is full, and for the disk. Threads: any.
 * Errors: JSON or SCHEMA, with every violation, for an event that is not valid: it is not kept. STATE when the sink is
 * stopping; SPOOL, FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_sink_ingest(cxsink_sink *sink,
                                 const char *json,
                                 size_t len,
                                 cxsink_error **err);

/**
 * Accepts many events, each as `cxsink_sink_ingest` does, but many in one transaction of the spool, which is much faster.
 * `events` are `count` texts, and `lens` their lengths; with NULL for `lens` each ends with a NUL character.
 * `*accepted`, if it is not NULL, gets the number of events accepted, also after an error: those before the one that was not.
 *
 * Ownership: the events are copied. Blocks: while the spool is full, for timeout_ms milliseconds at most, -1 without
 * limit; and for the disk. Threads: any. Errors: JSON or SCHEMA for the first event that is not valid, TIMEOUT if the
 * spool had no room in time, STATE when the sink is stopping, SPOOL; FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_sink_ingest_many(cxsink_sink *sink,
                                      const char *const *events,
                                      const size_t *lens,
                                      size_t count,
                                      int32_t timeout_ms,
                                      uint64_t *accepted,
                                      cxsink_error **err);

/**
 * Accepts events from JSON Lines, one event a line, and skips empty lines. `read` is called until it returns 0. The lines are
 * events, not messages: the section `[event]` of the configuration does not apply.
 * `*accepted`, if it is not NULL, gets the number of events accepted, also after an error.
 *
 * Invalid events become dead letters, as those of the stream do; `cxsink_sink_ingest` refuses them instead. Lines that have
 * arrived are accepted before read is called again.
 *
 * Ownership: none; user_data is passed to read, on this thread. Blocks: until the end is read, and while the spool is
 * full. Threads: any. Errors: INVALID_ARGUMENT if a line cannot be read, STATE when the sink is stopping: the message says
 * how many events before it were accepted; SPOOL, FORKED.
 */
cxsink_status cxsink_sink_import(cxsink_sink *sink,
                                 cxsink_read_fn read,
                                 void *user_data,
                                 uint64_t *accepted,
                                 cxsink_error **err);

/**
 * Accepts events from a file of JSON Lines; see `cxsink_sink_import`.
 *
 * Ownership: path is copied. Blocks: until the end is read, and while the spool is full. Threads: any.
 * Errors: as `cxsink_sink_import`; INVALID_ARGUMENT if the file cannot be opened.
 */
cxsink_status cxsink_sink_import_file(cxsink_sink *sink,
                                      const char *path,
                                      uint64_t *accepted,
                                      cxsink_error **err);

/**
 * Accepts the dead letters of an export, as `cxsink dead-letters export` writes it, as new events. They are late: a row that an
 * event of their key has written since is not overwritten, and the counter superseded counts them. A message that could not be
 * unwrapped is unwrapped with the settings of this sink, and each of its events counts as accepted.
 *
 * Ownership: path is copied. Blocks: until the end is read, and while the spool is full. Threads: any.
 * Errors: as `cxsink_sink_import_file`; INVALID_ARGUMENT also for a line that is not a dead letter.
 */
cxsink_status cxsink_sink_import_exported_file(cxsink_sink *sink,
                                               const char *path,
                                               uint64_t *accepted,
                                               cxsink_error **err);

/**
 * The statistics at this moment, as one JSON object: state, every counter by its name, pending_bytes, latency (p50_us,
 * p90_us, p99_us and max_us from receipt to commit, in microseconds) and last_error.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: any.
 * Errors: FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_sink_stats(const cxsink_sink *sink,
                                cxsink_buffer **out,
                                cxsink_error **err);

/**
 * The metrics at this moment, in Prometheus' text format (version 0.0.4), also after the end of the sink: docs/metrics.md lists
 * them. Append them to those of your application, or serve them alone.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: any.
 * Errors: FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_sink_metrics(const cxsink_sink *sink,
                                  cxsink_buffer **out,
                                  cxsink_error **err);

/**
 * The metrics of several sinks in one text, as `cxsink_sink_metrics`: each metric once, with the label stream, which is the
 * "stream.name" of its sink.
 *
 * Ownership: the array is read during the call; `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: any.
 * Errors: FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_metrics_of(const cxsink_sink *const *sinks,
                                size_t count,
                                cxsink_buffer **out,
                                cxsink_error **err);

/**
 * One counter, by its cxsink_counter number; 0 for a number that this library does not know, for NULL, and in a forked
 * child.
 *
 * Ownership: none. Blocks: never. Threads: any, also within a log callback. Errors: none.
 */
uint64_t cxsink_sink_counter(const cxsink_sink *sink,
                             uint32_t which);

/**
 * The state of the sink, a cxsink_state; CLOSED for NULL, and in a forked child.
 *
 * Ownership: none. Blocks: never. Threads: any, also within a log callback. Errors: none.
 */
uint32_t cxsink_sink_state(const cxsink_sink *sink);

/**
 * The error that ended the sink: returns its status, and puts the error into `*err`. CXSINK_STATUS_OK if there was none.
 *
 * Ownership: `*err` is yours; free it by `cxsink_error_free`. Blocks: never. Threads: any.
 * Errors: those of the sink; FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_sink_failure(const cxsink_sink *sink,
                                  cxsink_error **err);

/**
 * Begins a graceful stop: the sink stops reading, commits the spooled events, and ends. Does not wait for it. May be
 * repeated. Accepts NULL.
 *
 * If the destination is unreachable, the events stay in the spool for the next start.
 *
 * Ownership: none. Blocks: never. Threads: any, also within a log callback. Errors: none.
 */
void cxsink_sink_stop(cxsink_sink *sink);

/**
 * Stops reading, waits until the spooled events are committed, and ends. May be repeated. Every running `cxsink_sink_poll`
 * returns.
 *
 * It does not wait for an unreachable destination: it returns CXSINK_STATUS_OK, and the next start commits the pending
 * events.
 *
 * Ownership: none; free the sink afterwards. Blocks: for timeout_ms milliseconds, and about 100 more, at most; -1 waits
 * without limit. Threads: any. Errors: TIMEOUT if not every event could be committed in time: the sink has ended all the
 * same, and the rest is in the spool. The error that ended the sink, if its state is failed; STATE within a log callback;
 * FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_sink_close(cxsink_sink *sink,
                                int32_t timeout_ms,
                                cxsink_error **err);

/**
 * Frees the sink and sets the variable to NULL. Accepts NULL, and a variable that is NULL. A sink that was not closed is
 * closed within a second; the rest stays in the spool for the next start.
 *
 * Ownership: takes the sink. Its notices, errors and buffers stay valid: free each on its own.
 * Blocks: for about a second at most, if the sink was not closed; and while the log callback runs.
 * Threads: any, after every other call with this sink has returned. Errors: none; within a log callback it does nothing,
 * and in a forked child it only sets the variable to NULL.
 */
void cxsink_sink_free(cxsink_sink **sink);

/**
 * The kind of the notice: a cxsink_notice_kind, or a number of a newer library. NULL: 0.
 *
 * Ownership: none. Blocks: never. Threads: any. Errors: none.
 */
uint32_t cxsink_notice_get_kind(const cxsink_notice *notice);

/**
 * The new state in a notice of the kind STATE, a cxsink_state; UINT32_MAX for other kinds, and for NULL.
 *
 * Ownership: none. Blocks: never. Threads: any. Errors: none.
 */
uint32_t cxsink_notice_get_state(const cxsink_notice *notice);

/**
 * The error in a notice of the kind ERROR; NULL for other kinds, and for NULL.
 *
 * Ownership: the error belongs to the notice and lives until that is freed; do not free it.
 * Blocks: never. Threads: any. Errors: none.
 */
const cxsink_error *cxsink_notice_get_error(const cxsink_notice *notice);

/**
 * Everything as one JSON object with the member kind, and by that: state (STATE); offset, stage, reason, violations and
 * sqlstate (REJECTED); error (ERROR); stats (STATS); inserted, updated, unchanged, confirmed, coalesced and dead_lettered
 * (STORED). `len`, if it is not NULL, gets the number of bytes. NULL: the empty text.
 *
 * Ownership: the text belongs to the notice and lives until that is freed. Blocks: never. Threads: any. Errors: none.
 */
const char *cxsink_notice_json(const cxsink_notice *notice,
                               size_t *len);

/**
 * Frees the notice and sets the variable to NULL. Accepts NULL, and a variable that is NULL.
 *
 * Ownership: takes the notice; its text and its error become invalid. Blocks: never. Threads: any, once. Errors: none.
 */
void cxsink_notice_free(cxsink_notice **notice);

/**
 * Opens the dead letters of the spool file spool.path, which must exist.
 *
 * Ownership: `*out` is yours; free it by `cxsink_dead_letters_free`. The configuration is not needed afterwards.
 * Blocks: while it opens the file. Threads: any. Errors: SPOOL if the file does not exist, or is not a spool;
 * INVALID_ARGUMENT.
 */
cxsink_status cxsink_dead_letters_open(const cxsink_config *config,
                                       cxsink_dead_letters **out,
                                       cxsink_error **err);

/**
 * At most `count` dead letters from the offset `from` on, the oldest first, as a JSON array of objects: offset,
 * received_at, rejected_at, stage, reason, violations, sqlstate, constraint, column, bytes, exported_at, replayed_at,
 * replayed_as, superseded_at, and redacted (true) if it was redacted before it was spooled; times in microseconds since 1970-01-01
 * UTC. With `with_event` also event, the event itself as text, or event_hex if it is not UTF-8. For the next page, pass the last offset plus one.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
 * Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_dead_letters_list(const cxsink_dead_letters *dead_letters,
                                       uint64_t from,
                                       size_t count,
                                       bool with_event,
                                       cxsink_buffer **out,
                                       cxsink_error **err);

/**
 * The event of the dead letter with this offset, byte for byte: it may contain anything, NUL characters included. `*out`
 * stays NULL if no dead letter has this offset.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
 * Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_dead_letters_event(const cxsink_dead_letters *dead_letters,
                                        uint64_t offset,
                                        cxsink_buffer **out,
                                        cxsink_error **err);

/**
 * The number of dead letters.
 *
 * Ownership: none. Blocks: for the disk. Threads: any.
 * Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_dead_letters_count(const cxsink_dead_letters *dead_letters,
                                        uint64_t *out,
                                        cxsink_error **err);

/**
 * The dead letters that were not replayed, in groups of one reason each, with what would accept them, as a JSON object: dead_letters,
 * accepted_now (those that the schema accepts as it is now), ungrouped (those with a reason beside the 1,000 groups), and groups, the
 * largest first, each with stage, pointer, keyword, reason, sqlstate, constraint, column, dead_letters, first_offset, first_at, last_at
 * (in microseconds since 1970-01-01 UTC), advice and patch, the operations of a JSON Patch (RFC 6902) for the schema. No payload is part
 * of it, except, with `shows_values`, the values that an enum or const lacks.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk, and while it checks the events. Threads: any.
 * Errors: SPOOL if the file does not exist or cannot be read; CONFIG for a bad configuration or schema; INVALID_ARGUMENT.
 */
cxsink_status cxsink_dead_letters_summary(const cxsink_config *config,
                                          bool shows_values,
                                          cxsink_buffer **out,
                                          cxsink_error **err);

/**
 * Marks the dead letters with these `count` offsets as exported: a purge deletes them, and the sink deletes them when
 * dead_letters.bytes_max is reached.
 *
 * Ownership: offsets are copied. Blocks: for the disk. Threads: any.
 * Errors: SPOOL if the file cannot be written; FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_dead_letters_mark_exported(const cxsink_dead_letters *dead_letters,
                                                const uint64_t *offsets,
                                                size_t count,
                                                cxsink_error **err);

/**
 * Deletes dead letters permanently: those that `which` selects, a sum of cxsink_purge_flag, and of these only those rejected
 * before `before`, in microseconds since 1970-01-01 UTC; INT64_MAX for all. `*out`, if out is not NULL, gets a JSON object
 * of numbers: deleted; unseen, left because they were neither exported nor replayed; unfinished, left because their batch
 * is not finished, or its end is not recorded yet.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
 * Errors: SPOOL if the file cannot be written; those deleted before stay deleted. FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_dead_letters_purge(const cxsink_dead_letters *dead_letters,
                                        uint32_t which,
                                        int64_t before,
                                        cxsink_buffer **out,
                                        cxsink_error **err);

/**
 * Frees the handle and sets the variable to NULL. Accepts NULL, and a variable that is NULL.
 *
 * Ownership: takes the handle; the dead letters stay in the file. Blocks: never. Threads: any, after every other call
 * with this handle has returned. Errors: none; in a forked child it only sets the variable to NULL.
 */
void cxsink_dead_letters_free(cxsink_dead_letters **dead_letters);

/**
 * At most `count` dead letters of this sink from the offset `from` on; see `cxsink_dead_letters_list`.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
 * Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_sink_dead_letters(const cxsink_sink *sink,
                                       uint64_t from,
                                       size_t count,
                                       bool with_event,
                                       cxsink_buffer **out,
                                       cxsink_error **err);

/**
 * Checks dead letters again, with the schema that the sink was opened with and the table as it is now, and accepts the valid
 * ones as new events, in the order of their offsets. The others stay, with their new reason. Each is replayed once, also
 * after a crash. `offsets` are the `count` offsets of those to replay; with CXSINK_ALL for `count`, all that were not
 * replayed yet are, and `offsets` is ignored.
 *
 * A message that could not be unwrapped is unwrapped with the settings that the sink was opened with, and each of its events is
 * a new one; the JSON counts the message, the counter replayed its events.
 *
 * A replayed event does not overwrite what a later event of its key has written since it was rejected; the counter superseded
 * counts those that are left out for that. `cxsink_sink_replay_forced` overwrites it.
 *
 * `*out`, if out is not NULL, gets a JSON object: the numbers replayed, rejected, skipped and superseded; fates, an array for
 * the first 10,000; by, the process that replayed them, if it was another one.
 *
 * Ownership: offsets are copied; `*out` is yours; free it by `cxsink_buffer_free`. Blocks: while the spool is full, and
 * for the disk. Threads: any. Errors: STATE when the sink is stopping, SPOOL if the file cannot be used; those replayed
 * before stay replayed. FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_sink_replay(cxsink_sink *sink,
                                 const uint64_t *offsets,
                                 size_t count,
                                 cxsink_buffer **out,
                                 cxsink_error **err);

/**
 * Like `cxsink_sink_replay`, but a replayed event overwrites its row, whatever has been written since.
 *
 * Ownership: offsets are copied; `*out` is yours; free it by `cxsink_buffer_free`. Blocks: while the spool is full, and
 * for the disk. Threads: any. Errors: as `cxsink_sink_replay`.
 */
cxsink_status cxsink_sink_replay_forced(cxsink_sink *sink,
                                        const uint64_t *offsets,
                                        size_t count,
                                        cxsink_buffer **out,
                                        cxsink_error **err);

/**
 * Replays dead letters of the spool spool.path, without a sink of the caller. If no process has it open, this opens a sink
 * without a stream, replays them, and commits the spooled events if the destination is reachable. Otherwise the process
 * that has it open replays them on request. See `cxsink_sink_replay` for offsets, count and out.
 *
 * Ownership: offsets are copied; `*out` is yours; free it by `cxsink_buffer_free`.
 * Blocks: for timeout_ms milliseconds at most for each step of the other process, -1 without limit; otherwise two minutes
 * at most. Threads: any. Errors: TIMEOUT if the other process does not answer in time; nothing more is replayed then.
 * SPOOL, DATABASE, CONFIG as for `cxsink_sink_start`; INVALID_ARGUMENT.
 */
cxsink_status cxsink_replay(const cxsink_config *config,
                            const uint64_t *offsets,
                            size_t count,
                            int32_t timeout_ms,
                            cxsink_buffer **out,
                            cxsink_error **err);

/**
 * Like `cxsink_replay`, but a replayed event overwrites its row, whatever has been written since.
 *
 * Ownership: offsets are copied; `*out` is yours; free it by `cxsink_buffer_free`.
 * Blocks: as `cxsink_replay`. Threads: any. Errors: as `cxsink_replay`.
 */
cxsink_status cxsink_replay_forced(const cxsink_config *config,
                                   const uint64_t *offsets,
                                   size_t count,
                                   int32_t timeout_ms,
                                   cxsink_buffer **out,
                                   cxsink_error **err);

/**
 * The report that `cxsink_replay` would return with this configuration, without changing anything; also while a sink runs.
 *
 * Ownership: offsets are copied; `*out` is yours; free it by `cxsink_buffer_free`. Blocks: while it connects to the
 * destination, and for the disk. Threads: any. Errors: SPOOL if the file does not exist; CONFIG for a bad configuration or
 * schema; DATABASE for a table that does not match the configuration; INVALID_ARGUMENT.
 */
cxsink_status cxsink_replay_dry_run(const cxsink_config *config,
                                    const uint64_t *offsets,
                                    size_t count,
                                    cxsink_buffer **out,
                                    cxsink_error **err);

/**
 * The last 10,000 connections to the stream, the oldest first, including those of earlier processes with this spool, as a
 * JSON array of objects: id, opened_at, first_event_at, last_event_at, events, ended_at, cause, close_code, tries_failed,
 * try_error; times in microseconds since 1970-01-01 UTC.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
 * Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_sink_connections(const cxsink_sink *sink,
                                      cxsink_buffer **out,
                                      cxsink_error **err);

/**
 * The times in which events may have been missed, the oldest first, as a JSON array of objects: from, to, cause,
 * close_code, tries_failed, try_error; times in microseconds since 1970-01-01 UTC; to is null while the gap lasts.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
 * Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_sink_gaps(const cxsink_sink *sink,
                               cxsink_buffer **out,
                               cxsink_error **err);

/**
 * As `cxsink_sink_connections`, from the spool file spool.path, also while a sink has it open.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
 * Errors: SPOOL if the file does not exist, or is not a spool; INVALID_ARGUMENT.
 */
cxsink_status cxsink_connections(const cxsink_config *config, cxsink_buffer **out, cxsink_error **err);

/**
 * As `cxsink_sink_gaps`, from the spool file spool.path, also while a sink has it open.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
 * Errors: SPOOL if the file does not exist, or is not a spool; INVALID_ARGUMENT.
 */
cxsink_status cxsink_gaps(const cxsink_config *config, cxsink_buffer **out, cxsink_error **err);

/**
 * Creates the table destination.table at destination.url, and the table cxsink_checkpoint beside it, if they do not exist.
 * With mapping.columns of your own it creates these columns, with the types that the schema allows.
 *
 * Ownership: none. Blocks: while it connects and works, within destination.connect_timeout and
 * destination.statement_timeout. Threads: any. Errors: DATABASE or CONNECT if the destination is unreachable or
 * refuses, or if the table exists without the columns of your own mapping; CONFIG if destination.url, the mapping or
 * the schema is missing or bad; INVALID_ARGUMENT.
 */
cxsink_status cxsink_init_db(const cxsink_config *config,
                             cxsink_error **err);

/**
 * The SQL of `cxsink_init_db`. Connects to nothing.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: any.
 * Errors: CONFIG if destination.url, the mapping or the schema is missing or bad; INVALID_ARGUMENT.
 */
cxsink_status cxsink_init_db_sql(const cxsink_config *config, cxsink_buffer **out, cxsink_error **err);

/**
 * Makes the spool file a spool of its own, with a new id: for a copy of a spool file, or one restored from a backup, whose
 * checkpoint another sink owns. The next start applies every event in the file, also those that the other sink has applied
 * already.
 *
 * Ownership: none. Blocks: for a short time, for the disk. Threads: any. Errors: SPOOL if a sink has the file open, or it
 * cannot be used; INVALID_ARGUMENT.
 */
cxsink_status cxsink_renew_spool(const cxsink_config *config,
                                 cxsink_error **err);

/**
 * The first `count` rows of the table of the destination, as a JSON object: columns, an array of names, and rows, an array of
 * arrays of texts or null.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: while it connects and reads, within
 * destination.connect_timeout and destination.statement_timeout. Threads: any.
 * Errors: DATABASE or CONNECT if the destination is unreachable or the table does not exist; CONFIG if destination.url is
 * missing or bad; INVALID_ARGUMENT.
 */
cxsink_status cxsink_peek(const cxsink_config *config,
                          size_t count,
                          cxsink_buffer **out,
                          cxsink_error **err);

/**
 * Compiles the schema that the configuration names, or the built-in one.
 *
 * Ownership: `*out` is yours; free it by `cxsink_validator_free`. The configuration is not needed afterwards.
 * Blocks: while it reads the schema's file. Threads: any. Errors: CONFIG for a schema that cannot be used;
 * INVALID_ARGUMENT.
 */
cxsink_status cxsink_validator_new(const cxsink_config *config, cxsink_validator **out, cxsink_error **err);

/**
 * Compiles the schema, and reads the columns of the table destination.table, which each event must fit too.
 *
 * It connects to the destination once, and writes nothing. Constraints, and values that only the database can read (such as those of the
 * type inet), are not tried.
 *
 * Ownership: `*out` is yours; free it by `cxsink_validator_free`. The configuration is not needed afterwards.
 * Blocks: at most destination.connect_timeout and destination.statement_timeout. Threads: any. Errors: CONFIG for a bad configuration or
 * schema, or a mapping that does not fit the table; CONNECT or DATABASE; INVALID_ARGUMENT.
 */
cxsink_status cxsink_validator_for_table(const cxsink_config *config,
                                         cxsink_validator **out,
                                         cxsink_error **err);

/**
 * Validates one event, `len` bytes of JSON.
 *
 * Ownership: none. Blocks: never. Threads: any. Errors: JSON or SCHEMA, with every violation; UNMAPPED, with a violation for each column
 * whose value does not fit; INVALID_ARGUMENT.
 */
cxsink_status cxsink_validator_validate(const cxsink_validator *validator,
                                        const char *json,
                                        size_t len,
                                        cxsink_error **err);

/**
 * Frees the validator and sets the variable to NULL. Accepts NULL, and a variable that is NULL.
 *
 * Ownership: takes the validator. Blocks: never. Threads: any, after every other call with it has returned. Errors: none.
 */
void cxsink_validator_free(cxsink_validator **validator);

/**
 * Validates one event, `len` bytes of JSON. For many, use a `cxsink_validator`, which compiles the schema only once.
 *
 * Ownership: none. Blocks: while it reads the schema's file. Threads: any. Errors: JSON or SCHEMA, with every violation;
 * CONFIG for a schema that cannot be used; INVALID_ARGUMENT.
 */
cxsink_status cxsink_validate(const cxsink_config *config,
                              const char *json,
                              size_t len,
                              cxsink_error **err);

/**
 * Tries a deployment step by step, for real: configuration and schema in any case, and the `areas`, a sum of
 * cxsink_check_flag. It leaves no trace: no row, and no file that did not exist before.
 *
 * `*is_ok`, if it is not NULL, is true if no step failed. `*out`, if out is not NULL, gets a JSON object: ok, and steps, an
 * array of objects with name, status ("passed", "warning", "failed" or "skipped"), seconds, message and hint.
 * `on_step`, if it is not NULL, is called after each step, on this thread.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`; user_data is passed to on_step. Blocks: a step takes no
 * longer than the timeouts of the configuration. Threads: any. Errors: INVALID_ARGUMENT. A failed step is not an error of
 * this call.
 */
cxsink_status cxsink_check(const cxsink_config *config,
                           uint32_t areas,
                           cxsink_step_fn on_step,
                           void *user_data,
                           bool *is_ok,
                           cxsink_buffer **out,
                           cxsink_error **err);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CXSINK_H */
