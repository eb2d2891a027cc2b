/* A table of one's own, end to end, by keys and values as text: sources that are tables, redaction, history, the stream's name, the
 * summary and the age of dead letters. With `later` as second argument: a sink for which the first dead letter is too old. */
#include "check.h"

static const char CANARY[] = "+49 30 4711";

static const char SCHEMA[] =
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\",\"maxLength\":20},\"amount\":{\"type\":\"number\"},"
    "\"queue\":{\"type\":[\"string\",\"null\"]},\"started\":{\"type\":\"integer\"}},\"required\":[\"id\"]}";

static const char COLUMNS[] =
    "{ id = \"/id\", amount = \"/amount\", started_at = { pointer = \"/started\", format = \"epoch_ms\" },"
    "  queue = { pointer = [\"/queue\", \"/team\"], default = \"none\", trim = true }, phone = \"/phone\", agent = \"/agent\","
    "  source = { constant = \"cxone\" }, stream = \"stream\", place = \"offset\", rest = \"rest\" }";

static const char *const EVENTS[] = {
    "{\"id\":\"a\",\"amount\":12345678901234567890.10,\"started\":1764241200123,\"team\":\"  support \",\"phone\":\"+49 30 4711\","
    "\"agent\":\"+49 30 4711\",\"notes\":{\"of\":\"+49 30 4711\"}}",
    "{\"id\":\"a\",\"amount\":12345678901234567890.10,\"queue\":\"sales\",\"phone\":\"+49 30 4711\",\"agent\":\"+49 30 4711\"}",
    "{\"id\":\"b\"}",
};

/* An import that gives this line once. */
static ptrdiff_t read_once(char *buffer, size_t capacity, void *user_data)
{
    const char **line = user_data;
    size_t len = *line ? strlen(*line) : 0;
    if (len == 0 || len > capacity) {
        return 0;
    }
    memcpy(buffer, *line, len);
    *line = NULL;
    return (ptrdiff_t)len;
}

static bool has(const cxsink_buffer *buffer, const char *what)
{
    bool says = strstr(cxsink_buffer_data(buffer, NULL), what) != NULL;
    if (!says) {
        fprintf(stderr, "  not in it: %s: %s\n", what, cxsink_buffer_data(buffer, NULL));
    }
    return says;
}

/* The first rows of this table, as JSON. */
static cxsink_buffer *rows_of(cxsink_config *config, const char *table)
{
    cxsink_error *err = NULL;
    cxsink_buffer *rows = NULL;
    set(config, "destination.table", table);
    CHECK_STATUS(cxsink_peek(config, 10, &rows, &err), CXSINK_STATUS_OK);
    CHECK(strstr(cxsink_buffer_data(rows, NULL), CANARY) == NULL);
    return rows;
}

static cxsink_config *configured(const char *folder, const char *table, const char *history)
{
    cxsink_config *config = cxsink_config_new();
    const char *destination = getenv("DESTINATION");
    char text[8192];
    FILE *key;

    snprintf(text, sizeof text, "%s/key", folder);
    key = fopen(text, "w");
    CHECK(key != NULL);
    fputs("0123456789abcdef0123456789abcdef\n", key);
    fclose(key);
    snprintf(text, sizeof text,
             "[{ pointer = \"/phone\", with = \"hmac\", key_file = \"%s/key\" }, { pointer = \"/agent\", with = \"mask\" },"
             " { pointer = \"/notes\", with = \"drop\" }]",
             folder);
    set(config, "redact", text);
    snprintf(text, sizeof text, "%s/spool.db", folder);
    set(config, "spool.path", text);
    snprintf(text, sizeof text, "sqlite:%s/events.db", folder);
    set(config, "destination.url", destination ? destination : text);
    set(config, "destination.table", table);
    set(config, "destination.history_table", history);
    set(config, "stream.name", "emea");
    set(config, "schema.inline", SCHEMA);
    set(config, "mapping.columns", COLUMNS);
    set(config, "mapping.key", "id");
    return config;
}

static void write_and_look(cxsink_config *config, const char *table, const char *history)
{
    cxsink_error *err = NULL;
    cxsink_buffer *out = NULL;
    const char *bad = "{\"id\":\"c\",\"amount\":\"much\",\"phone\":\"+49 30 4711\"}\n";
    cxsink_sink *sink;

    CHECK_STATUS(cxsink_init_db(config, &err), CXSINK_STATUS_OK);
    sink = started(config);
    for (size_t i = 0; i < sizeof EVENTS / sizeof EVENTS[0]; i++) {
        CHECK_STATUS(cxsink_sink_ingest(sink, EVENTS[i], strlen(EVENTS[i]), &err), CXSINK_STATUS_OK);
    }
    CHECK_STATUS(cxsink_sink_import(sink, read_once, &bad, NULL, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_sink_close(sink, 120000, &err), CXSINK_STATUS_OK);
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_RECEIVED) == 4);
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_DEAD_LETTERED) == 1);

    CHECK_STATUS(cxsink_sink_dead_letters(sink, 0, SIZE_MAX, true, &out, &err), CXSINK_STATUS_OK);
    CHECK(has(out, "\"redacted\":true"));
    CHECK(strstr(cxsink_buffer_data(out, NULL), CANARY) == NULL);
    cxsink_buffer_free(&out);
    cxsink_sink_free(&sink);
    CHECK_STATUS(cxsink_dead_letters_summary(config, false, &out, &err), CXSINK_STATUS_OK);
    CHECK(has(out, "\"pointer\":\"/amount\""));
    CHECK(has(out, "{\"op\":\"replace\",\"path\":\"/properties/amount/type\",\"value\":[\"number\",\"string\"]}"));
    cxsink_buffer_free(&out);

    set(config, "destination.history_table", "");
    out = rows_of(config, table);
    CHECK(has(out, "\"sales\""));
    CHECK(has(out, "\"***\",\"cxone\",\"emea\",\"1\""));
    CHECK(has(out, "\"none\""));
    CHECK(strstr(cxsink_buffer_data(out, NULL), "support") == NULL);
    CHECK(!getenv("DESTINATION") || has(out, "\"12345678901234567890.10\""));
    cxsink_buffer_free(&out);
    out = rows_of(config, history);
    CHECK(has(out, "\"support\",") && has(out, "\"sales\",") && has(out, "\"none\","));
    CHECK(has(out, "\"***\""));
    CHECK(has(out, "2025-11-27"));
    cxsink_buffer_free(&out);
}

/* The first dead letter goes as soon as the sink runs. */
static void forget_old_ones(cxsink_config *config)
{
    cxsink_error *err = NULL;
    cxsink_dead_letters *letters = NULL;
    uint64_t count = 1;
    cxsink_sink *sink;

    set(config, "retention.dead_letters", "30d");
    CHECK_STATUS(cxsink_dead_letters_open(config, &letters, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_dead_letters_count(letters, &count, &err), CXSINK_STATUS_OK);
    CHECK(count == 1);
    sink = started(config);
    for (double until = seconds() + 120; count > 0 && seconds() < until; sleep_ms(1)) {
        cxsink_dead_letters_count(letters, &count, NULL);
    }
    CHECK(count == 0);
    CHECK_STATUS(cxsink_sink_close(sink, 120000, &err), CXSINK_STATUS_OK);
    cxsink_sink_free(&sink);
    cxsink_dead_letters_free(&letters);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : ".";
    const char *table = getenv("TABLE") ? getenv("TABLE") : "own";
    char history[256];
    cxsink_config *config;

    snprintf(history, sizeof history, "%s_history", table);
    config = configured(folder, table, history);
    if (argc > 2) {
        forget_old_ones(config);
    } else {
        write_and_look(config, table, history);
    }
    cxsink_config_free(&config);
    return checked(__FILE__);
}
