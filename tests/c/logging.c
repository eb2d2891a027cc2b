/* The log: whose records a callback gets, what it may call, and when it is over. */
#include <pthread.h>

#include "check.h"

struct log {
    pthread_mutex_t lock;
    cxsink_sink *sink;
    unsigned records;
    unsigned worst; /* the largest level */
    unsigned freed;
    bool saw_open;
    bool saw_secret;
    uint32_t close_status;
    uint32_t set_status;
    bool stop_at_first;
};

static void record(uint32_t level, const char *target, const char *message, size_t len, void *user_data)
{
    struct log *log = user_data;
    pthread_mutex_lock(&log->lock);
    log->records++;
    log->worst = level > log->worst ? level : log->worst;
    log->saw_open = log->saw_open || strstr(message, "the stream") != NULL;
    log->saw_secret = log->saw_secret || strstr(message, "hunter2") != NULL || strstr(message, "k-1") != NULL;
    if (strlen(message) != len || strncmp(target, "cxsink", 6) != 0 || log->freed) {
        fprintf(stderr, "a strange record: %s: %s\n", target, message);
        checks_failed++;
    }
    if (log->sink) {
        cxsink_sink *sink = log->sink;
        cxsink_buffer *stats = NULL;
        cxsink_error *err = NULL;
        log->close_status = cxsink_sink_close(log->sink, CXSINK_FOREVER, &err);
        cxsink_error_free(&err);
        log->set_status = cxsink_sink_stats(log->sink, &stats, NULL);
        cxsink_sink_free(&sink);
        if (sink == NULL || stats != NULL || cxsink_sink_counter(log->sink, CXSINK_COUNTER_PENDING) > 1) {
            checks_failed++;
        }
        if (log->stop_at_first) {
            /* It logs by itself: that does not come here again. */
            cxsink_sink_stop(log->sink);
        }
    }
    pthread_mutex_unlock(&log->lock);
}

static void freed(void *user_data)
{
    struct log *log = user_data;
    log->freed++;
}

static void start_log(struct log *log)
{
    memset(log, 0, sizeof *log);
    pthread_mutex_init(&log->lock, NULL);
}

static unsigned records(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    unsigned found = log->records;
    pthread_mutex_unlock(&log->lock);
    return found;
}

static void each_sink_has_its_own_log(const char *folder)
{
    cxsink_error *err = NULL;
    cxsink_simulator *cxone = cxsink_simulator_new();
    cxsink_config *config = config_in(folder);
    cxsink_config *other_config = cxsink_config_new();
    struct log log, other;
    char path[4096];

    start_log(&log);
    start_log(&other);
    snprintf(path, sizeof path, "%s/other-spool.db", folder);
    set(other_config, "spool.path", path);
    snprintf(path, sizeof path, "sqlite:%s/other.db", folder);
    set(other_config, "destination.url", path);
    CHECK_STATUS(cxsink_init_db(other_config, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_config_set_log(config, CXSINK_LOG_LEVEL_INFO, record, &log, freed, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_config_set_log(other_config, CXSINK_LOG_LEVEL_TRACE, record, &other, freed, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_config_set_log(config, 6, record, &log, freed, &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_simulator_set(cxone, "client_secret", "hunter2", &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_simulator_set(cxone, "events", "10", &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_simulator_start(cxone, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_simulator_configure(cxone, config, &err), CXSINK_STATUS_OK);
    cxsink_sink *sink = started(config);
    cxsink_sink *other_sink = started(other_config);
    /* The sinks keep the callback. */
    cxsink_config_free(&config);
    cxsink_config_free(&other_config);
    CHECK(log.freed == 0 && other.freed == 0);
    CHECK(wait_counter(sink, CXSINK_COUNTER_INSERTED, 10));
    CHECK_STATUS(ingest(other_sink, 1, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_sink_close(sink, 120000, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_sink_close(other_sink, 120000, &err), CXSINK_STATUS_OK);
    CHECK(log.records > 2 && log.saw_open && log.worst == CXSINK_LOG_LEVEL_INFO);
    CHECK(other.records > 1 && !other.saw_open);
    CHECK(!log.saw_secret && !other.saw_secret);
    cxsink_sink_free(&sink);
    CHECK(log.freed == 1 && other.freed == 0);
    cxsink_sink_free(&other_sink);
    CHECK(log.freed == 1 && other.freed == 1);
    cxsink_simulator_free(&cxone);
}

static void a_callback_may_count_and_stop_only(const char *folder)
{
    cxsink_error *err = NULL;
    cxsink_config *config = config_in(folder);
    struct log log;
    cxsink_sink *sink;

    start_log(&log);
    CHECK_STATUS(cxsink_config_set_log(config, CXSINK_LOG_LEVEL_DEBUG, record, &log, freed, &err), CXSINK_STATUS_OK);
    sink = opened(config);
    pthread_mutex_lock(&log.lock);
    log.sink = sink;
    log.stop_at_first = true;
    pthread_mutex_unlock(&log.lock);
    /* The first record of the start stops the sink again. */
    cxsink_sink_start(sink, &err);
    cxsink_error_free(&err);
    CHECK_STATUS(cxsink_sink_close(sink, 120000, &err), CXSINK_STATUS_OK);
    CHECK(log.close_status == CXSINK_STATUS_STATE && log.set_status == CXSINK_STATUS_STATE);
    CHECK(cxsink_sink_state(sink) == CXSINK_STATE_CLOSED);
    cxsink_config_free(&config);
    CHECK(log.freed == 0);
    cxsink_sink_free(&sink);
    CHECK(log.freed == 1);
    unsigned at_free = records(&log);
    sleep_ms(20);
    CHECK(records(&log) == at_free);
}

static void a_callback_that_is_replaced_is_over(void)
{
    cxsink_error *err = NULL;
    cxsink_config *config = cxsink_config_new();
    struct log first, second;
    start_log(&first);
    start_log(&second);
    CHECK_STATUS(cxsink_config_set_log(config, 3, record, &first, freed, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_config_set_log(config, 3, record, &second, freed, &err), CXSINK_STATUS_OK);
    CHECK(first.freed == 1 && second.freed == 0);
    CHECK_STATUS(cxsink_config_set_log(config, 3, NULL, NULL, NULL, &err), CXSINK_STATUS_OK);
    CHECK(first.freed == 1 && second.freed == 1);
    CHECK_STATUS(cxsink_config_set_log(config, 3, record, &first, NULL, &err), CXSINK_STATUS_OK);
    cxsink_config_free(&config);
    CHECK(first.freed == 1);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : ".";
    each_sink_has_its_own_log(folder);
    a_callback_may_count_and_stop_only(folder);
    a_callback_that_is_replaced_is_over();
    return checked(__FILE__);
}
