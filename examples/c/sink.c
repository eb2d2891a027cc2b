/*
 * Runs a sink until SIGINT or SIGTERM: prints each notice as a line of JSON, and a summary at the end.
 *
 *     sink [--config FILE] [--init-db] [--simulate EVENTS]
 *
 * Without --config it takes its settings from .env and the environment. --init-db makes the table where it does not
 * exist. --simulate reads from a CXone of its own that sends N events; then no account is needed:
 *
 *     CXSINK_DESTINATION__URL=sqlite:events.db ./sink --init-db --simulate 1000
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <cxsink.h>
#include <cxsink_simulator.h>

static volatile sig_atomic_t interrupted = 0;

/* A handler may do next to nothing: no function of cxsink is async-signal-safe. A second signal ends the program. */
static void on_signal(int signal_number)
{
    interrupted = 1;
    signal(signal_number, SIG_DFL);
}

/* Called on the sink's threads. */
static void on_record(uint32_t level, const char *target, const char *message, size_t len, void *user_data)
{
    (void)len;
    (void)user_data;
    fprintf(stderr, "%s %s: %s\n", level <= CXSINK_LOG_LEVEL_WARN ? "WARNING" : "info", target, message);
}

/* Whether the call succeeded; prints the error, and frees it, if it did not. */
static bool succeeded(cxsink_status status, cxsink_error **error)
{
    if (status == CXSINK_STATUS_OK) {
        return true;
    }
    fprintf(stderr, "%s: %s\n", cxsink_status_name(status), cxsink_error_message(*error));
    if (*cxsink_error_hint(*error)) {
        fprintf(stderr, "  %s\n", cxsink_error_hint(*error));
    }
    cxsink_error_free(error);
    return false;
}

static bool configure(cxsink_config *config, int argc, char **argv, cxsink_simulator *simulator)
{
    cxsink_error *error = NULL;
    const char *file = NULL;
    const char *events = NULL;
    bool init_db = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--init-db") == 0) {
            init_db = true;
        } else if (i + 1 < argc && strcmp(argv[i], "--config") == 0) {
            file = argv[++i];
        } else if (i + 1 < argc && strcmp(argv[i], "--simulate") == 0) {
            events = argv[++i];
        } else {
            fprintf(stderr, "usage: sink [--config FILE] [--init-db] [--simulate EVENTS]\n");
            return false;
        }
    }
    return succeeded(file ? cxsink_config_load(config, file, &error) : cxsink_config_load_env(config, &error), &error)
           && succeeded(cxsink_config_set_log(config, CXSINK_LOG_LEVEL_INFO, on_record, NULL, NULL, &error), &error)
           && (!events
               || (succeeded(cxsink_simulator_set(simulator, "events", events, &error), &error)
                   && succeeded(cxsink_simulator_start(simulator, &error), &error)
                   && succeeded(cxsink_simulator_configure(simulator, config, &error), &error)))
           && (!init_db || succeeded(cxsink_init_db(config, &error), &error));
}

static void print_summary(const cxsink_sink *sink)
{
    printf("%s\n", cxsink_state_name(cxsink_sink_state(sink)));
    for (uint32_t which = 0; strcmp(cxsink_counter_name(which), "UNKNOWN") != 0; which++) {
        printf("  %-16s %" PRIu64 "\n", cxsink_counter_name(which), cxsink_sink_counter(sink, which));
    }
}

static bool run(cxsink_sink *sink)
{
    cxsink_error *error = NULL;
    cxsink_notice *notice = NULL;

    if (!succeeded(cxsink_sink_start(sink, &error), &error)) {
        return false;
    }
    while (!interrupted) {
        /* Not forever, so that a signal is seen. */
        cxsink_status status = cxsink_sink_poll(sink, 100, &notice, &error);
        if (status == CXSINK_STATUS_CLOSED) {
            break;
        }
        if (status == CXSINK_STATUS_OK) {
            puts(cxsink_notice_json(notice, NULL));
            fflush(stdout);
            cxsink_notice_free(&notice);
        } else if (status != CXSINK_STATUS_TIMEOUT) {
            return succeeded(status, &error);
        }
    }
    /* Applies what is spooled; fails with the error that ended the sink, if one did. */
    return succeeded(cxsink_sink_close(sink, 30000, &error), &error);
}

int main(int argc, char **argv)
{
    cxsink_error *error = NULL;
    cxsink_config *config = cxsink_config_new();
    cxsink_simulator *simulator = cxsink_simulator_new();
    cxsink_sink *sink = NULL;
    bool is_ok = false;

    if (!CXSINK_CHECK_VERSION()) {
        fprintf(stderr, "compiled for cxsink %s, but %s is loaded\n", CXSINK_VERSION_STRING, cxsink_version_string());
        return 2;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (configure(config, argc, argv, simulator) && succeeded(cxsink_sink_open(config, &sink, &error), &error)) {
        is_ok = run(sink);
        print_summary(sink);
    }
    /* Each takes NULL as well. */
    cxsink_sink_free(&sink);
    cxsink_simulator_free(&simulator);
    cxsink_config_free(&config);
    return is_ok ? 0 : 1;
}
