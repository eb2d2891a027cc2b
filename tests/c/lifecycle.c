/* A sink from open to free, and every call at the wrong time: before the start, twice, after the end. */
#include "check.h"

static void events_reach_the_table(cxsink_config *config)
{
    cxsink_error *err = NULL;
    cxsink_buffer *rows = NULL;
    cxsink_notice *notice = NULL;
    cxsink_sink *sink = started(config);
    bool saw_closed = false;
    uint64_t stored = 0;
    cxsink_status status;

    for (unsigned number = 0; number < 100; number++) {
        CHECK_STATUS(ingest(sink, number % 60, &err), CXSINK_STATUS_OK);
    }
    CHECK_STATUS(cxsink_sink_close(sink, 120000, &err), CXSINK_STATUS_OK);
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_RECEIVED) == 100);
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_INSERTED) == 60);
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_PENDING) == 0);
    CHECK(cxsink_sink_state(sink) == CXSINK_STATE_CLOSED);

    while ((status = cxsink_sink_poll(sink, CXSINK_FOREVER, &notice, &err)) == CXSINK_STATUS_OK) {
        size_t len = 0;
        const char *json = cxsink_notice_json(notice, &len);
        CHECK(strlen(json) == len && json[0] == '{');
        CHECK(strstr(json, cxsink_notice_kind_name(cxsink_notice_get_kind(notice))) != NULL);
        saw_closed = saw_closed || cxsink_notice_get_state(notice) == CXSINK_STATE_CLOSED;
        stored += cxsink_notice_get_kind(notice) == CXSINK_NOTICE_KIND_STORED;
        CHECK(cxsink_notice_get_error(notice) == NULL);
        cxsink_notice_free(&notice);
        CHECK(notice == NULL);
    }
    CHECK(status == CXSINK_STATUS_CLOSED && err == NULL && notice == NULL);
    CHECK(saw_closed && stored == cxsink_sink_counter(sink, CXSINK_COUNTER_BATCHES));

    CHECK_STATUS(cxsink_sink_stats(sink, &rows, &err), CXSINK_STATUS_OK);
    CHECK(strstr(cxsink_buffer_data(rows, NULL), "\"state\":\"closed\"") != NULL);
    cxsink_buffer_free(&rows);
    CHECK_STATUS(cxsink_sink_metrics(sink, &rows, &err), CXSINK_STATUS_OK);
    CHECK(strstr(cxsink_buffer_data(rows, NULL), "\ncxsink_state{state=\"closed\"} 1\n") != NULL);
    cxsink_buffer_free(&rows);
    CHECK_STATUS(cxsink_peek(config, 1000, &rows, &err), CXSINK_STATUS_OK);
    CHECK(strstr(cxsink_buffer_data(rows, NULL), "\"k-59\"") != NULL);
    CHECK(strstr(cxsink_buffer_data(rows, NULL), "\"k-60\"") == NULL);
    cxsink_buffer_free(&rows);
    cxsink_sink_free(&sink);
    CHECK(sink == NULL);
}

static void calls_at_the_wrong_time(cxsink_config *config)
{
    cxsink_error *err = NULL;
    cxsink_notice *notice = NULL;
    cxsink_sink *second = NULL;
    cxsink_sink *sink = opened(config);
    uint64_t taken = 7;

    CHECK(cxsink_sink_state(sink) == CXSINK_STATE_OPEN);
    CHECK_STATUS(cxsink_sink_poll(sink, 0, &notice, &err), CXSINK_STATUS_TIMEOUT);
    CHECK(notice == NULL);
    CHECK_STATUS(cxsink_sink_poll(sink, 20, &notice, &err), CXSINK_STATUS_TIMEOUT);
    CHECK_STATUS(cxsink_sink_poll(sink, -2, &notice, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_sink_open(config, &second, &err), CXSINK_STATUS_SPOOL);
    CHECK(second == NULL);
    CHECK_STATUS(cxsink_sink_start(sink, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_sink_start(sink, &err), CXSINK_STATUS_STATE);
    CHECK_STATUS(cxsink_sink_close(sink, -2, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    cxsink_sink_stop(sink);
    cxsink_sink_stop(sink);
    CHECK_STATUS(cxsink_sink_close(sink, CXSINK_FOREVER, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_sink_close(sink, 0, &err), CXSINK_STATUS_OK);
    cxsink_sink_stop(sink);
    CHECK_STATUS(cxsink_sink_start(sink, &err), CXSINK_STATUS_STATE);
    CHECK_STATUS(ingest(sink, 1, &err), CXSINK_STATUS_STATE);
    CHECK_STATUS(cxsink_sink_import_file(sink, "/dev/null", &taken, &err), CXSINK_STATUS_OK);
    CHECK(taken == 0);
    CHECK_STATUS(cxsink_sink_failure(sink, &err), CXSINK_STATUS_OK);
    CHECK(cxsink_sink_counter(sink, 1000000) == 0);
    while (cxsink_sink_poll(sink, 0, &notice, &err) == CXSINK_STATUS_OK) {
        cxsink_notice_free(&notice);
    }
    CHECK_STATUS(cxsink_sink_poll(sink, CXSINK_FOREVER, &notice, &err), CXSINK_STATUS_CLOSED);
    cxsink_sink_free(&sink);
    cxsink_sink_free(&sink);
    CHECK(cxsink_sink_state(sink) == CXSINK_STATE_CLOSED);

    /* Never started: a stop ends it. */
    sink = opened(config);
    cxsink_sink_stop(sink);
    CHECK(cxsink_sink_state(sink) == CXSINK_STATE_CLOSED);
    cxsink_sink_free(&sink);
    /* Neither started nor closed, and with what was taken still in the spool. */
    sink = opened(config);
    CHECK_STATUS(ingest(sink, 1000, &err), CXSINK_STATUS_OK);
    cxsink_sink_free(&sink);
    sink = started(config);
    CHECK(wait_counter(sink, CXSINK_COUNTER_INSERTED, 1));
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_RECOVERED) == 1);
    /* Running, and freed without a close. */
    cxsink_sink_free(&sink);
}

static void bad_events_are_refused_with_the_reason(cxsink_config *config)
{
    cxsink_error *err = NULL;
    cxsink_validator *validator = NULL;
    cxsink_sink *sink = started(config);
    const char *bad = "{\"type\":\"fax\"}";
    const char *wide = "{\"interactionId\":\"i\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\"idempotencyKey\":\"k\","
                       "\"attributes\":{\"duration\":0.5}}";
    char event[256];
    size_t len = event_of(event, sizeof event, 1);

    CHECK(cxsink_sink_ingest(sink, bad, strlen(bad), &err) == CXSINK_STATUS_SCHEMA);
    CHECK(strstr(cxsink_error_detail_json(err), "\"keyword\":\"enum\"") != NULL);
    CHECK(strstr(cxsink_error_detail_json(err), "\"code\":31") != NULL);
    CHECK(strlen(cxsink_error_message(err)) > 0 && strstr(cxsink_error_message(err), "fax") == NULL);
    CHECK(!cxsink_error_is_retryable(err) && cxsink_error_hint(err) != NULL);
    cxsink_error_free(&err);
    CHECK_STATUS(cxsink_sink_ingest(sink, "{", 1, &err), CXSINK_STATUS_JSON);
    CHECK_STATUS(cxsink_sink_ingest(sink, "", 0, &err), CXSINK_STATUS_JSON);
    /* The length counts, not a NUL character. */
    CHECK_STATUS(cxsink_sink_ingest(sink, event, len + 1, &err), CXSINK_STATUS_JSON);
    CHECK_STATUS(cxsink_sink_ingest(sink, event, SIZE_MAX, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_validate(config, event, len, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_validate(config, bad, strlen(bad), &err), CXSINK_STATUS_SCHEMA);
    CHECK_STATUS(cxsink_validator_new(config, &validator, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_validator_validate(validator, event, len, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_validator_validate(validator, bad, strlen(bad), &err), CXSINK_STATUS_SCHEMA);
    cxsink_validator_free(&validator);
    CHECK_STATUS(cxsink_validator_for_table(config, &validator, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_validator_validate(validator, event, len, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_validator_validate(validator, wide, strlen(wide), &err), CXSINK_STATUS_UNMAPPED);
    cxsink_validator_free(&validator);
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_RECEIVED) == 0);
    cxsink_sink_free(&sink);
}

static void a_sink_that_cannot_start_says_why(const char *folder)
{
    cxsink_error *err = NULL;
    cxsink_notice *notice = NULL;
    cxsink_config *config = config_in(folder);
    cxsink_sink *sink = NULL;
    bool saw_error = false;

    set(config, "destination.table", "no_such_table");
    sink = opened(config);
    CHECK_STATUS(cxsink_sink_start(sink, &err), CXSINK_STATUS_DATABASE);
    CHECK(cxsink_sink_state(sink) == CXSINK_STATE_FAILED);
    CHECK(cxsink_sink_failure(sink, &err) == CXSINK_STATUS_DATABASE);
    CHECK(strstr(cxsink_error_message(err), "no_such_table") != NULL && strlen(cxsink_error_hint(err)) > 0);
    cxsink_error_free(&err);
    while (cxsink_sink_poll(sink, CXSINK_FOREVER, &notice, &err) == CXSINK_STATUS_OK) {
        const cxsink_error *told = cxsink_notice_get_error(notice);
        saw_error = saw_error || cxsink_error_status(told) == CXSINK_STATUS_DATABASE;
        cxsink_notice_free(&notice);
    }
    CHECK(saw_error);
    CHECK_STATUS(cxsink_sink_close(sink, 0, &err), CXSINK_STATUS_DATABASE);
    cxsink_sink_free(&sink);
    cxsink_config_free(&config);
}

static void many_events_go_in_at_once(cxsink_config *config)
{
    cxsink_error *err = NULL;
    cxsink_sink *sink = started(config);
    char texts[3][256];
    const char *events[4] = {texts[0], texts[1], "{}", texts[2]};
    size_t lens[3];
    uint64_t taken = 7;

    for (unsigned number = 0; number < 3; number++) {
        lens[number] = event_of(texts[number], sizeof texts[number], 3000 + number);
    }
    CHECK_STATUS(cxsink_sink_ingest_many(sink, events, lens, 2, CXSINK_FOREVER, &taken, &err), CXSINK_STATUS_OK);
    CHECK(taken == 2);
    CHECK(cxsink_sink_ingest_many(sink, events, NULL, 4, 0, &taken, &err) == CXSINK_STATUS_SCHEMA);
    CHECK(taken == 2 && cxsink_error_index(err) == 2);
    cxsink_error_free(&err);
    CHECK_STATUS(cxsink_sink_ingest_many(sink, events + 3, NULL, 1, 0, NULL, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_sink_ingest_many(sink, events, NULL, 0, 0, &taken, &err), CXSINK_STATUS_OK);
    CHECK(taken == 0);
    CHECK_STATUS(cxsink_sink_ingest_many(sink, events, NULL, SIZE_MAX, 0, &taken, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_sink_ingest_many(sink, events, lens, 1, -2, &taken, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    events[1] = NULL;
    CHECK_STATUS(cxsink_sink_ingest_many(sink, events, lens, 2, 0, &taken, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_sink_ingest_many(sink, events, NULL, 2, 0, &taken, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK(taken == 0 && cxsink_error_index(NULL) == UINT64_MAX);
    CHECK_STATUS(cxsink_sink_close(sink, 120000, &err), CXSINK_STATUS_OK);
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_RECEIVED) == 5);
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_INSERTED) == 3);
    CHECK_STATUS(cxsink_sink_ingest_many(sink, events, lens, 1, 0, &taken, &err), CXSINK_STATUS_STATE);
    cxsink_sink_free(&sink);
}

static void count_step(const char *step, size_t len, void *user_data)
{
    unsigned *steps = user_data;
    *steps += strlen(step) == len && strstr(step, "\"status\":") != NULL;
}

static void a_deployment_is_checked(cxsink_config *config)
{
    cxsink_error *err = NULL;
    cxsink_buffer *report = NULL;
    unsigned steps = 0;
    bool is_ok = false;

    CHECK_STATUS(cxsink_check(config, CXSINK_CHECK_FLAG_SPOOL | CXSINK_CHECK_FLAG_DESTINATION, count_step, &steps, &is_ok,
                              &report, &err),
                 CXSINK_STATUS_OK);
    CHECK(is_ok && steps > 3 && strstr(cxsink_buffer_data(report, NULL), "\"ok\":true") != NULL);
    cxsink_buffer_free(&report);
    set(config, "destination.table", "no_such_table");
    CHECK_STATUS(cxsink_check(config, CXSINK_CHECK_FLAG_DESTINATION, NULL, NULL, &is_ok, &report, &err), CXSINK_STATUS_OK);
    CHECK(!is_ok && strstr(cxsink_buffer_data(report, NULL), "no_such_table") != NULL);
    cxsink_buffer_free(&report);
    CHECK_STATUS(cxsink_check(config, 16, NULL, NULL, &is_ok, &report, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK(report == NULL);
}

struct lines {
    const char *rest;
    size_t left;
};

static ptrdiff_t read_lines(char *buffer, size_t capacity, void *user_data)
{
    struct lines *lines = user_data;
    size_t given = lines->left < 7 ? lines->left : 7;
    given = given < capacity ? given : capacity;
    memcpy(buffer, lines->rest, given);
    lines->rest += given;
    lines->left -= given;
    return (ptrdiff_t)given;
}

static ptrdiff_t read_nothing(char *buffer, size_t capacity, void *user_data)
{
    (void)buffer;
    (void)capacity;
    (void)user_data;
    return -1;
}

static ptrdiff_t read_too_much(char *buffer, size_t capacity, void *user_data)
{
    (void)buffer;
    (void)user_data;
    return (ptrdiff_t)capacity + 1;
}

static void lines_are_imported(cxsink_config *config)
{
    cxsink_error *err = NULL;
    cxsink_sink *sink = started(config);
    char text[1024];
    size_t len = event_of(text, sizeof text, 2001);
    struct lines lines;
    uint64_t taken = 0;

    text[len++] = '\n';
    text[len++] = '\n';
    len += event_of(text + len, sizeof text - len, 2002);
    memcpy(text + len, "\nnot an event\n", 14);
    len += 14;
    lines.rest = text;
    lines.left = len;
    CHECK_STATUS(cxsink_sink_import(sink, read_lines, &lines, &taken, &err), CXSINK_STATUS_OK);
    CHECK(taken == 3 && lines.left == 0);
    CHECK_STATUS(cxsink_sink_import(sink, read_nothing, NULL, &taken, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK(taken == 0);
    CHECK_STATUS(cxsink_sink_import(sink, read_too_much, NULL, NULL, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_sink_import_file(sink, "/no/such/file", &taken, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_sink_close(sink, 120000, &err), CXSINK_STATUS_OK);
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_INSERTED) == 2);
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_DEAD_LETTERED) == 1);
    cxsink_sink_free(&sink);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : ".";
    cxsink_config *config = config_in(folder);
    events_reach_the_table(config);
    calls_at_the_wrong_time(config);
    bad_events_are_refused_with_the_reason(config);
    lines_are_imported(config);
    many_events_go_in_at_once(config);
    a_deployment_is_checked(config);
    cxsink_config_free(&config);
    cxsink_config_free(&config);
    a_sink_that_cannot_start_says_why(folder);
    return checked(__FILE__);
}
