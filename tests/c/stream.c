/* A sink reads a simulated CXone that closes half-way: no event is lost, and the gaps are recorded. */
#include <signal.h>

#include "check.h"

static volatile sig_atomic_t pipe_signals = 0;

static void on_pipe(int signal_number)
{
    (void)signal_number;
    pipe_signals++;
}

/* A C program that takes no care of SIGPIPE is ended by it: writing to a connection that is gone must not raise it. */
static void broken_connections_raise_no_signal(const char *folder)
{
    cxsink_error *err = NULL;
    cxsink_config *config = config_in(folder);
    cxsink_simulator *cxone = cxsink_simulator_new();
    const char *options[][2] = {{"events", "3000"},    {"cut_after", "100"},       {"cut_connections", "25"},
                                {"ping_every", "1"}, {"frames_per_write", "1"}, {"close_at_end", "false"}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        CHECK_STATUS(cxsink_simulator_set(cxone, options[i][0], options[i][1], &err), CXSINK_STATUS_OK);
    }
    CHECK_STATUS(cxsink_simulator_start(cxone, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_simulator_configure(cxone, config, &err), CXSINK_STATUS_OK);
    cxsink_sink *sink = started(config);
    CHECK_STATUS(cxsink_simulator_wait_finished(cxone, 60000, &err), CXSINK_STATUS_OK);
    CHECK(wait_counter(sink, CXSINK_COUNTER_RECONNECTS, 25));
    cxsink_simulator_stop(cxone);
    CHECK_STATUS(cxsink_sink_close(sink, 120000, &err), CXSINK_STATUS_OK);
    CHECK(pipe_signals == 0);
    cxsink_sink_free(&sink);
    cxsink_simulator_free(&cxone);
    cxsink_config_free(&config);
}

int main(int argc, char **argv)
{
    cxsink_error *err = NULL;
    cxsink_config *config = config_in(argc > 1 ? argv[1] : ".");
    cxsink_simulator *cxone = cxsink_simulator_new();
    cxsink_buffer *buffer = NULL;
    cxsink_buffer *again = NULL;
    cxsink_sink *sink;
    char expected[64];

    signal(SIGPIPE, on_pipe);
    CHECK_STATUS(cxsink_simulator_set(cxone, "no_such_option", "1", &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_simulator_set(cxone, "events", "many", &err), CXSINK_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(cxsink_simulator_report(cxone, &buffer, &err), CXSINK_STATUS_STATE);
    CHECK_STATUS(cxsink_simulator_configure(cxone, config, &err), CXSINK_STATUS_STATE);
    CHECK_STATUS(cxsink_simulator_wait_finished(cxone, 0, &err), CXSINK_STATUS_STATE);
    cxsink_simulator_stop(cxone);
    CHECK_STATUS(cxsink_simulator_set(cxone, "events", "2000", &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_simulator_set(cxone, "redelivery_percent", "10", &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_simulator_set(cxone, "invalid_percent", "1", &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_simulator_set(cxone, "close_after", "700", &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_simulator_start(cxone, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_simulator_start(cxone, &err), CXSINK_STATUS_STATE);
    CHECK_STATUS(cxsink_simulator_set(cxone, "events", "1", &err), CXSINK_STATUS_STATE);
    CHECK_STATUS(cxsink_simulator_wait_finished(cxone, 0, &err), CXSINK_STATUS_TIMEOUT);
    CHECK_STATUS(cxsink_simulator_configure(cxone, config, &err), CXSINK_STATUS_OK);

    sink = started(config);
    CHECK_STATUS(cxsink_simulator_wait_finished(cxone, 120000, &err), CXSINK_STATUS_OK);
    CHECK(wait_counter(sink, CXSINK_COUNTER_RECEIVED, 2000));
    CHECK_STATUS(cxsink_sink_close(sink, 120000, &err), CXSINK_STATUS_OK);
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_RECEIVED) == 2000);
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_RECONNECTS) == 1);
    CHECK_STATUS(cxsink_simulator_report(cxone, &buffer, &err), CXSINK_STATUS_OK);
    snprintf(expected, sizeof expected, "\"unique_keys\":%" PRIu64 ",", cxsink_sink_counter(sink, CXSINK_COUNTER_INSERTED));
    CHECK(strstr(cxsink_buffer_data(buffer, NULL), expected) != NULL);
    snprintf(expected, sizeof expected, "\"invalid\":%" PRIu64 ",", cxsink_sink_counter(sink, CXSINK_COUNTER_DEAD_LETTERED));
    CHECK(strstr(cxsink_buffer_data(buffer, NULL), expected) != NULL);
    cxsink_buffer_free(&buffer);

    CHECK_STATUS(cxsink_sink_connections(sink, &buffer, &err), CXSINK_STATUS_OK);
    CHECK(strstr(cxsink_buffer_data(buffer, NULL), "\"close_code\":1008") != NULL);
    CHECK_STATUS(cxsink_connections(config, &again, &err), CXSINK_STATUS_OK);
    CHECK(strcmp(cxsink_buffer_data(buffer, NULL), cxsink_buffer_data(again, NULL)) == 0);
    cxsink_buffer_free(&buffer);
    cxsink_buffer_free(&again);
    CHECK_STATUS(cxsink_sink_gaps(sink, &buffer, &err), CXSINK_STATUS_OK);
    CHECK(strstr(cxsink_buffer_data(buffer, NULL), "\"to\":null") != NULL);
    CHECK_STATUS(cxsink_gaps(config, &again, &err), CXSINK_STATUS_OK);
    CHECK(strcmp(cxsink_buffer_data(buffer, NULL), cxsink_buffer_data(again, NULL)) == 0);
    cxsink_buffer_free(&buffer);
    cxsink_buffer_free(&again);

    cxsink_sink_free(&sink);
    cxsink_simulator_stop(cxone);
    CHECK_STATUS(cxsink_simulator_report(cxone, &buffer, &err), CXSINK_STATUS_OK);
    cxsink_buffer_free(&buffer);
    cxsink_simulator_free(&cxone);
    cxsink_simulator_free(&cxone);
    set(config, "spool.path", "/no/such/folder/spool.db");
    CHECK_STATUS(cxsink_gaps(config, &buffer, &err), CXSINK_STATUS_SPOOL);
    CHECK_STATUS(cxsink_connections(config, &buffer, &err), CXSINK_STATUS_SPOOL);
    cxsink_config_free(&config);
    broken_connections_raise_no_signal(argc > 1 ? argv[1] : ".");
    return checked(__FILE__);
}
