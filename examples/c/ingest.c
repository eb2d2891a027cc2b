/*
 * An application that has events of its own: takes each line of the standard input as an event, until its end or SIGINT.
 *
 *     ingest [CONFIG-FILE] < events.jsonl
 *
 * Without a file it takes its settings from .env and the environment. Nothing is read from CXone as long as no stream is
 * configured. An event that is not valid is refused at once, and the application decides what becomes of it: this one
 * prints why.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <cxsink.h>

static void on_signal(int signal_number)
{
    /* Reading the standard input is interrupted; a second signal ends the program. */
    signal(signal_number, SIG_DFL);
}

static int failed(const char *what, cxsink_status status, cxsink_error **error)
{
    fprintf(stderr, "%s: %s: %s\n", what, cxsink_status_name(status), cxsink_error_message(*error));
    if (*cxsink_error_hint(*error)) {
        fprintf(stderr, "  %s\n", cxsink_error_hint(*error));
    }
    cxsink_error_free(error);
    return 1;
}

/* How the input ended does not matter: what was accepted is in the spool. */
static int take_lines(cxsink_sink *sink, uint64_t *refused)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    uint64_t number = 0;

    while ((len = getline(&line, &size, stdin)) > 0) {
        cxsink_error *error = NULL;
        cxsink_status status = cxsink_sink_ingest(sink, line, (size_t)len, &error);
        number++;
        if (status == CXSINK_STATUS_JSON || status == CXSINK_STATUS_SCHEMA) {
            fprintf(stderr, "line %" PRIu64 ": %s\n", number, cxsink_error_message(error));
            cxsink_error_free(&error);
            ++*refused;
        } else if (status != CXSINK_STATUS_OK) {
            free(line);
            return failed("ingest", status, &error);
        }
    }
    free(line);
    return 0;
}

static int run(cxsink_sink *sink)
{
    cxsink_error *error = NULL;
    cxsink_status status = cxsink_sink_start(sink, &error);
    uint64_t refused = 0;
    int code;

    if (status != CXSINK_STATUS_OK) {
        return failed("start", status, &error);
    }
    code = take_lines(sink, &refused);
    status = cxsink_sink_close(sink, 30000, &error);
    if (status == CXSINK_STATUS_TIMEOUT) {
        /* Not lost: the next start applies the rest. */
        cxsink_error_free(&error);
    } else if (status != CXSINK_STATUS_OK) {
        code = failed("close", status, &error);
    }
    printf("accepted %" PRIu64 ", refused %" PRIu64 ", inserted %" PRIu64 ", updated %" PRIu64 ", waiting %" PRIu64 "\n",
           cxsink_sink_counter(sink, CXSINK_COUNTER_RECEIVED), refused,
           cxsink_sink_counter(sink, CXSINK_COUNTER_INSERTED), cxsink_sink_counter(sink, CXSINK_COUNTER_UPDATED),
           cxsink_sink_counter(sink, CXSINK_COUNTER_PENDING));
    return code;
}

int main(int argc, char **argv)
{
    struct sigaction action = {0};
    cxsink_error *error = NULL;
    cxsink_config *config = cxsink_config_new();
    cxsink_sink *sink = NULL;
    cxsink_status status;
    int code = 1;

    /* Without SA_RESTART, so that getline ends. */
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);

    status = argc > 1 ? cxsink_config_load(config, argv[1], &error) : cxsink_config_load_env(config, &error);
    if (status == CXSINK_STATUS_OK) {
        status = cxsink_init_db(config, &error);
    }
    if (status == CXSINK_STATUS_OK) {
        status = cxsink_sink_open(config, &sink, &error);
    }
    if (status != CXSINK_STATUS_OK) {
        failed("open", status, &error);
    } else {
        code = run(sink);
    }
    cxsink_sink_free(&sink);
    cxsink_config_free(&config);
    return code;
}
