/* Helpers of the C tests: checks that count, and a configuration with files in a folder of the test. */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cxsink.h"
#include "cxsink_simulator.h"

static int checks_passed = 0;
static int checks_failed = 0;

#define CHECK(condition) check(#condition, __FILE__, __LINE__, (condition))

/* The call returned this status, and an error if and only if it failed; the error is freed. */
#define CHECK_STATUS(call, expected) check_status(#call, __FILE__, __LINE__, (call), (expected), &err)

static inline bool check(const char *what, const char *file, int line, bool held)
{
    if (held) {
        checks_passed++;
    } else {
        checks_failed++;
        fprintf(stderr, "%s:%d: FAILED: %s\n", file, line, what);
    }
    return held;
}

static inline bool check_status(const char *what, const char *file, int line, uint32_t found, uint32_t expected,
                                cxsink_error **err)
{
    bool held = found == expected && (*err != NULL) == (found >= 10) && cxsink_error_status(*err) == (*err ? found : 0);
    if (!held) {
        fprintf(stderr, "  %s, not %s: %s\n", cxsink_status_name(found), cxsink_status_name(expected),
                cxsink_error_message(*err));
    }
    cxsink_error_free(err);
    return check(what, file, line, held);
}

/* The exit code of the test. */
static inline int checked(const char *file)
{
    const char *name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    printf("%s: %d passed, %d failed\n", name, checks_passed, checks_failed);
    return checks_failed == 0 ? 0 : 1;
}

static inline void set(cxsink_config *config, const char *key, const char *value)
{
    cxsink_error *err = NULL;
    CHECK_STATUS(cxsink_config_set(config, key, value, &err), CXSINK_STATUS_OK);
}

/* Spool and table in this folder; the table is made, in another database if DESTINATION names one. */
static inline cxsink_config *config_in(const char *folder)
{
    cxsink_error *err = NULL;
    cxsink_config *config = cxsink_config_new();
    const char *destination = getenv("DESTINATION");
    char text[4096];
    snprintf(text, sizeof text, "%s/spool.db", folder);
    set(config, "spool.path", text);
    snprintf(text, sizeof text, "sqlite:%s/events.db", folder);
    set(config, "destination.url", destination ? destination : text);
    set(config, "destination.table", getenv("TABLE") ? getenv("TABLE") : "events");
    set(config, "retry.delay_min", "5ms");
    set(config, "retry.delay_max", "20ms");
    CHECK_STATUS(cxsink_init_db(config, &err), CXSINK_STATUS_OK);
    return config;
}

static inline cxsink_sink *opened(const cxsink_config *config)
{
    cxsink_error *err = NULL;
    cxsink_sink *sink = NULL;
    CHECK_STATUS(cxsink_sink_open(config, &sink, &err), CXSINK_STATUS_OK);
    return sink;
}

static inline cxsink_sink *started(const cxsink_config *config)
{
    cxsink_error *err = NULL;
    cxsink_sink *sink = opened(config);
    CHECK_STATUS(cxsink_sink_start(sink, &err), CXSINK_STATUS_OK);
    return sink;
}

/* A valid event with this number for a key; returns its length. */
static inline size_t event_of(char *event, size_t size, unsigned number)
{
    return (size_t)snprintf(event, size,
                            "{\"interactionId\":\"i-%u\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\","
                            "\"idempotencyKey\":\"k-%u\"}",
                            number, number);
}

static inline cxsink_status ingest(cxsink_sink *sink, unsigned number, cxsink_error **err)
{
    char event[256];
    size_t len = event_of(event, sizeof event, number);
    return cxsink_sink_ingest(sink, event, len, err);
}

static inline double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Waits until a counter has reached a number; false after two minutes. */
static inline bool wait_counter(const cxsink_sink *sink, uint32_t which, uint64_t number)
{
    for (double until = seconds() + 120; cxsink_sink_counter(sink, which) < number; sleep_ms(1)) {
        if (seconds() > until) {
            return false;
        }
    }
    return true;
}

#endif
