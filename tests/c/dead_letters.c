/* Dead letters with and without a sink: list, payload, export, replay, purge. */
#include "check.h"

/* Not UTF-8, and with a NUL character: whatever came is kept. */
static const char ODD[] = "{\"a\":\0\xff\xfe}";

static size_t dead_letters(const cxsink_dead_letters *letters)
{
    cxsink_error *err = NULL;
    uint64_t count = 99;
    CHECK_STATUS(cxsink_dead_letters_count(letters, &count, &err), CXSINK_STATUS_OK);
    return (size_t)count;
}

static bool report_says(cxsink_buffer **report, const char *what)
{
    bool says = strstr(cxsink_buffer_data(*report, NULL), what) != NULL;
    if (!says) {
        fprintf(stderr, "  not in it: %s: %s\n", what, cxsink_buffer_data(*report, NULL));
    }
    cxsink_buffer_free(report);
    return says;
}

static ptrdiff_t read_once(char *buffer, size_t capacity, void *user_data)
{
    const char **line = user_data;
    size_t len = sizeof ODD - 1;
    if (!*line || len > capacity) {
        return 0;
    }
    memcpy(buffer, *line, len);
    *line = NULL;
    return (ptrdiff_t)len;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : ".";
    cxsink_error *err = NULL;
    cxsink_config *config = config_in(folder);
    cxsink_dead_letters *letters = NULL;
    cxsink_buffer *out = NULL;
    cxsink_sink *sink;
    const char *line = ODD;
    char path[4096];
    uint64_t offsets[2] = {1, UINT64_MAX};
    size_t len = 0;
    FILE *file;

    CHECK_STATUS(cxsink_dead_letters_open(config, &letters, &err), CXSINK_STATUS_SPOOL);
    CHECK(letters == NULL);

    /* Valid for the schema, but for its fourth, unknown member: a later setting takes it. */
    snprintf(path, sizeof path, "%s/lines", folder);
    file = fopen(path, "w");
    CHECK(file != NULL);
    fputs("{\"interactionId\":\"i\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\"idempotencyKey\":\"later\",\"x\":1}\n", file);
    fputs("{\"type\":\"fax\"}\n", file);
    fclose(file);
    sink = started(config);
    CHECK_STATUS(cxsink_sink_import(sink, read_once, &line, NULL, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_sink_import_file(sink, path, NULL, &err), CXSINK_STATUS_OK);
    CHECK(wait_counter(sink, CXSINK_COUNTER_DEAD_LETTERED, 3));

    CHECK_STATUS(cxsink_dead_letters_open(config, &letters, &err), CXSINK_STATUS_OK);
    CHECK(dead_letters(letters) == 3);
    CHECK_STATUS(cxsink_sink_dead_letters(sink, 0, SIZE_MAX, false, &out, &err), CXSINK_STATUS_OK);
    CHECK(strstr(cxsink_buffer_data(out, NULL), "fax") == NULL);
    CHECK(report_says(&out, "\"stage\":\"schema\""));
    CHECK_STATUS(cxsink_dead_letters_list(letters, 0, 1, true, &out, &err), CXSINK_STATUS_OK);
    CHECK(report_says(&out, "\"event_hex\":\"7b2261223a00fffe7d\""));
    CHECK_STATUS(cxsink_dead_letters_list(letters, 1, 1, true, &out, &err), CXSINK_STATUS_OK);
    CHECK(report_says(&out, "later"));
    CHECK_STATUS(cxsink_dead_letters_list(letters, 3, 10, true, &out, &err), CXSINK_STATUS_OK);
    CHECK(strcmp(cxsink_buffer_data(out, &len), "[]") == 0 && len == 2);
    cxsink_buffer_free(&out);
    CHECK_STATUS(cxsink_dead_letters_event(letters, 0, &out, &err), CXSINK_STATUS_OK);
    CHECK(memcmp(cxsink_buffer_data(out, &len), ODD, sizeof ODD) == 0 && len == sizeof ODD - 1);
    cxsink_buffer_free(&out);
    CHECK_STATUS(cxsink_dead_letters_list(letters, UINT64_MAX, SIZE_MAX, true, &out, &err), CXSINK_STATUS_OK);
    CHECK(report_says(&out, "[]"));
    CHECK_STATUS(cxsink_dead_letters_summary(config, false, &out, &err), CXSINK_STATUS_OK);
    CHECK(strstr(cxsink_buffer_data(out, NULL), "\"path\":\"/properties/x\"") != NULL);
    CHECK(strstr(cxsink_buffer_data(out, NULL), "fax") == NULL);
    CHECK(report_says(&out, "\"dead_letters\":3,\"accepted_now\":0"));
    CHECK_STATUS(cxsink_dead_letters_summary(config, true, &out, &err), CXSINK_STATUS_OK);
    CHECK(report_says(&out, "{\"op\":\"add\",\"path\":\"/properties/type/enum/-\",\"value\":\"fax\"}"));
    CHECK_STATUS(cxsink_dead_letters_mark_exported(letters, offsets + 1, 1, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_dead_letters_event(letters, UINT64_MAX, &out, &err), CXSINK_STATUS_OK);
    CHECK(out == NULL);

    /* By the running sink, which has no better schema: all stay. */
    CHECK_STATUS(cxsink_sink_replay(sink, NULL, 0, &out, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_sink_replay(sink, offsets, 0, &out, &err), CXSINK_STATUS_OK);
    CHECK(report_says(&out, "\"replayed\":0,\"rejected\":0,\"skipped\":0"));
    CHECK_STATUS(cxsink_sink_replay(sink, offsets, 2, &out, &err), CXSINK_STATUS_OK);
    CHECK(report_says(&out, "\"replayed\":0,\"rejected\":1,\"skipped\":1"));
    CHECK_STATUS(cxsink_sink_close(sink, 120000, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_sink_replay(sink, NULL, CXSINK_ALL, NULL, &err), CXSINK_STATUS_STATE);
    cxsink_sink_free(&sink);

    set(config, "schema.additional_properties", "keep");
    CHECK_STATUS(cxsink_replay_dry_run(config, NULL, CXSINK_ALL, &out, &err), CXSINK_STATUS_OK);
    CHECK(report_says(&out, "\"replayed\":1,\"rejected\":2,\"skipped\":0"));
    CHECK_STATUS(cxsink_replay(config, NULL, CXSINK_ALL, -2, &out, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_replay(config, NULL, CXSINK_ALL, 10000, &out, &err), CXSINK_STATUS_OK);
    CHECK(report_says(&out, "\"replayed\":1,\"rejected\":2,\"skipped\":0"));
    CHECK_STATUS(cxsink_peek(config, 10, &out, &err), CXSINK_STATUS_OK);
    CHECK(report_says(&out, "\"later\""));
    CHECK_STATUS(cxsink_replay(config, offsets, 1, CXSINK_FOREVER, NULL, &err), CXSINK_STATUS_OK);

    offsets[0] = 0;
    CHECK_STATUS(cxsink_dead_letters_mark_exported(letters, offsets, 1, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_dead_letters_purge(letters, 0, INT64_MAX, &out, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_dead_letters_purge(letters, 8, INT64_MAX, &out, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_dead_letters_purge(letters, CXSINK_PURGE_FLAG_REPLAYED, 1, &out, &err), CXSINK_STATUS_OK);
    CHECK(report_says(&out, "\"deleted\":0"));
    CHECK_STATUS(cxsink_dead_letters_purge(letters, CXSINK_PURGE_FLAG_EXPORTED | CXSINK_PURGE_FLAG_REPLAYED, INT64_MAX,
                                           &out, &err),
                 CXSINK_STATUS_OK);
    CHECK(report_says(&out, "\"deleted\":2,\"unseen\":1,\"unfinished\":0"));
    CHECK_STATUS(cxsink_dead_letters_purge(letters, CXSINK_PURGE_FLAG_UNSEEN, INT64_MAX, NULL, &err), CXSINK_STATUS_OK);
    CHECK(dead_letters(letters) == 0);

    cxsink_dead_letters_free(&letters);
    cxsink_dead_letters_free(&letters);
    CHECK(letters == NULL);
    cxsink_config_free(&config);
    return checked(__FILE__);
}
