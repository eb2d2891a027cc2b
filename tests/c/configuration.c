/* Keys and values: set, read back, loaded; secrets are not shown, and mistakes are errors. */
#include "check.h"

static bool value_is(const cxsink_config *config, const char *key, const char *expected)
{
    cxsink_error *err = NULL;
    cxsink_buffer *value = NULL;
    size_t len = 0;
    CHECK_STATUS(cxsink_config_get(config, key, &value, &err), CXSINK_STATUS_OK);
    bool is_it = expected ? value && strcmp(cxsink_buffer_data(value, &len), expected) == 0 && len == strlen(expected) : !value;
    cxsink_buffer_free(&value);
    return is_it;
}

int main(int argc, char **argv)
{
    cxsink_error *err = NULL;
    cxsink_config *config = cxsink_config_new(), *own = NULL;
    cxsink_buffer *buffer = NULL;
    cxsink_sink *sink = NULL;
    char path[4096];
    FILE *file;

    set(config, "spool.bytes_max", "1GiB");
    CHECK(value_is(config, "spool.bytes_max", "1GiB"));
    set(config, "oauth.client_secret", "hunter2");
    CHECK(value_is(config, "oauth.client_secret", "***"));
    set(config, "oauth.client_secret", "");
    CHECK(value_is(config, "oauth.client_secret", NULL));

    CHECK(cxsink_config_set(config, "spool.byte_max", "1", &err) == CXSINK_STATUS_CONFIG);
    CHECK(strstr(cxsink_error_message(err), "spool.bytes_max") != NULL);
    cxsink_error_free(&err);
    CHECK_STATUS(cxsink_config_set(config, "spool.bytes_max", "1 bit", &err), CXSINK_STATUS_CONFIG);
    CHECK(value_is(config, "spool.bytes_max", "1GiB"));
    CHECK_STATUS(cxsink_config_set(config, "spool.path", "\xff\xfe", &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_config_set(config, "\xff", "x", &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_config_get(config, "no.key", &buffer, &err), CXSINK_STATUS_INVALID_ARGUMENT);

    snprintf(path, sizeof path, "%s/cxsink.toml", argc > 1 ? argv[1] : ".");
    file = fopen(path, "w");
    CHECK(file != NULL);
    fputs("[batch]\nevents_max = 123\n[destination]\nurl = \"sqlite:events.db\"\n", file);
    fclose(file);
    setenv("CXSINK_BATCH__BYTES_MAX", "2MiB", 1);
    CHECK_STATUS(cxsink_config_load(config, path, &err), CXSINK_STATUS_OK);
    CHECK(value_is(config, "batch.events_max", "123") && value_is(config, "batch.bytes_max", "2MiB"));
    CHECK(!value_is(config, "spool.bytes_max", "1GiB"));
    CHECK_STATUS(cxsink_config_validate(config, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_config_load(config, "/no/such/file", &err), CXSINK_STATUS_CONFIG);
    CHECK(value_is(config, "batch.events_max", "123"));
    CHECK_STATUS(cxsink_config_load_env(config, &err), CXSINK_STATUS_OK);
    CHECK(!value_is(config, "batch.events_max", "123") && value_is(config, "batch.bytes_max", "2MiB"));
    setenv("CXSINK_BATCH__BYTE_MAX", "2MiB", 1);
    CHECK_STATUS(cxsink_config_load_env(config, &err), CXSINK_STATUS_CONFIG);

    unsetenv("CXSINK_BATCH__BYTE_MAX");
    set(config, "streams.sales.id", "s-1");
    set(config, "streams.sales.destination.table", "sales_events");
    set(config, "streams.support.id", "s-2");
    CHECK(cxsink_config_set(config, "streams.sales.destination.tabel", "x", &err) == CXSINK_STATUS_CONFIG);
    CHECK(strstr(cxsink_error_message(err), "streams.sales.destination.table") != NULL);
    cxsink_error_free(&err);
    CHECK(value_is(config, "streams.sales.id", "s-1") && value_is(config, "streams.sales.spool.path", NULL));
    CHECK_STATUS(cxsink_config_stream_names(config, &buffer, &err), CXSINK_STATUS_OK);
    CHECK(strcmp(cxsink_buffer_data(buffer, NULL), "[\"sales\",\"support\"]") == 0);
    cxsink_buffer_free(&buffer);
    CHECK_STATUS(cxsink_config_for_stream(config, "sales", &own, &err), CXSINK_STATUS_OK);
    CHECK(value_is(own, "destination.table", "sales_events") && value_is(own, "stream.name", "sales"));
    CHECK(value_is(own, "spool.path", "cxsink-spool-sales.db"));
    CHECK_STATUS(cxsink_config_stream_names(own, &buffer, &err), CXSINK_STATUS_OK);
    CHECK(strcmp(cxsink_buffer_data(buffer, NULL), "[]") == 0);
    cxsink_buffer_free(&buffer);
    cxsink_config_free(&own);
    CHECK(cxsink_config_for_stream(config, "sale", &own, &err) == CXSINK_STATUS_CONFIG && own == NULL);
    CHECK(strstr(cxsink_error_message(err), "\"sales\"") != NULL);
    cxsink_error_free(&err);
    /* It is of two streams: a sink is of one. */
    CHECK_STATUS(cxsink_sink_open(config, &sink, &err), CXSINK_STATUS_CONFIG);
    CHECK_STATUS(cxsink_config_load_env(config, &err), CXSINK_STATUS_OK);

    set(config, "destination.url", "");
    CHECK_STATUS(cxsink_config_validate(config, &err), CXSINK_STATUS_CONFIG);
    CHECK_STATUS(cxsink_sink_open(config, &sink, &err), CXSINK_STATUS_CONFIG);
    CHECK(sink == NULL);
    CHECK_STATUS(cxsink_init_db(config, &err), CXSINK_STATUS_CONFIG);
    set(config, "destination.url", "sqlite:events.db");
    CHECK_STATUS(cxsink_init_db_sql(config, &buffer, &err), CXSINK_STATUS_OK);
    CHECK(strstr(cxsink_buffer_data(buffer, NULL), "CREATE TABLE") != NULL);
    cxsink_buffer_free(&buffer);

    /* For the test around this one: all keys, and all names by number. */
    CHECK_STATUS(cxsink_config_keys(&buffer, &err), CXSINK_STATUS_OK);
    printf("keys=%s\n", cxsink_buffer_data(buffer, NULL));
    cxsink_buffer_free(&buffer);
    for (uint32_t number = 0; number < 100; number++) {
        printf("status %" PRIu32 " %s\n", number, cxsink_status_name(number));
        printf("state %" PRIu32 " %s\n", number, cxsink_state_name(number));
        printf("counter %" PRIu32 " %s\n", number, cxsink_counter_name(number));
        printf("notice_kind %" PRIu32 " %s\n", number, cxsink_notice_kind_name(number));
    }
    CHECK(strcmp(cxsink_status_name(UINT32_MAX), "UNKNOWN") == 0);
    cxsink_config_free(&config);
    return checked(__FILE__);
}
