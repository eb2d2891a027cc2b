/* A forked child cannot use handles of its parent: that is an error, and freeing them in the child does the parent no harm. */
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static int in_the_child(cxsink_sink *sink, cxsink_dead_letters *letters, cxsink_simulator *cxone)
{
    cxsink_error *err = NULL;
    cxsink_notice *notice = NULL;
    cxsink_buffer *buffer = NULL;
    uint64_t count = 0;
    CHECK_STATUS(cxsink_sink_start(sink, &err), CXSINK_STATUS_FORKED);
    CHECK_STATUS(cxsink_sink_poll(sink, CXSINK_FOREVER, &notice, &err), CXSINK_STATUS_FORKED);
    CHECK_STATUS(ingest(sink, 1, &err), CXSINK_STATUS_FORKED);
    CHECK_STATUS(cxsink_sink_import_file(sink, "/dev/null", NULL, &err), CXSINK_STATUS_FORKED);
    CHECK_STATUS(cxsink_sink_stats(sink, &buffer, &err), CXSINK_STATUS_FORKED);
    CHECK_STATUS(cxsink_sink_metrics(sink, &buffer, &err), CXSINK_STATUS_FORKED);
    CHECK_STATUS(cxsink_sink_failure(sink, &err), CXSINK_STATUS_FORKED);
    CHECK_STATUS(cxsink_sink_dead_letters(sink, 0, 1, true, &buffer, &err), CXSINK_STATUS_FORKED);
    CHECK_STATUS(cxsink_sink_replay(sink, NULL, CXSINK_ALL, &buffer, &err), CXSINK_STATUS_FORKED);
    CHECK_STATUS(cxsink_sink_connections(sink, &buffer, &err), CXSINK_STATUS_FORKED);
    CHECK_STATUS(cxsink_sink_gaps(sink, &buffer, &err), CXSINK_STATUS_FORKED);
    CHECK_STATUS(cxsink_sink_close(sink, CXSINK_FOREVER, &err), CXSINK_STATUS_FORKED);
    CHECK_STATUS(cxsink_dead_letters_count(letters, &count, &err), CXSINK_STATUS_FORKED);
    CHECK_STATUS(cxsink_simulator_report(cxone, &buffer, &err), CXSINK_STATUS_FORKED);
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_RECEIVED) == 0);
    CHECK(cxsink_sink_state(sink) == CXSINK_STATE_CLOSED);
    cxsink_sink_stop(sink);
    cxsink_simulator_stop(cxone);
    cxsink_sink_free(&sink);
    cxsink_dead_letters_free(&letters);
    cxsink_simulator_free(&cxone);
    CHECK(sink == NULL && letters == NULL && cxone == NULL);
    return checks_failed;
}

int main(int argc, char **argv)
{
    cxsink_error *err = NULL;
    cxsink_config *config = config_in(argc > 1 ? argv[1] : ".");
    cxsink_simulator *cxone = cxsink_simulator_new();
    cxsink_dead_letters *letters = NULL;
    cxsink_sink *sink = started(config);
    uint64_t count = 7;
    int status = -1;

    CHECK_STATUS(cxsink_simulator_start(cxone, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_dead_letters_open(config, &letters, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(ingest(sink, 1, &err), CXSINK_STATUS_OK);
    pid_t child = fork();
    if (child == 0) {
        _exit(in_the_child(sink, letters, cxone));
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    CHECK_STATUS(ingest(sink, 2, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_dead_letters_count(letters, &count, &err), CXSINK_STATUS_OK);
    CHECK(count == 0);
    CHECK_STATUS(cxsink_sink_close(sink, 120000, &err), CXSINK_STATUS_OK);
    CHECK(cxsink_sink_counter(sink, CXSINK_COUNTER_INSERTED) == 2);
    cxsink_dead_letters_free(&letters);
    cxsink_sink_free(&sink);
    cxsink_simulator_free(&cxone);
    cxsink_config_free(&config);
    return checked(__FILE__);
}
