/* Eight threads on one sink, mixing poll, ingest, stats and stop, a thousand times (ROUNDS). */
#include <pthread.h>

#include "check.h"

enum { THREADS = 8, EVENTS = 5 };

struct round {
    pthread_barrier_t barrier;
    cxsink_sink *sink;
    unsigned number;
};

struct worker {
    struct round *round;
    unsigned number;
    unsigned taken;
    unsigned surprises;
};

static void ingest_some(struct worker *worker)
{
    for (unsigned event = 0; event < EVENTS; event++) {
        unsigned key = (worker->round->number * THREADS + worker->number) * EVENTS + event;
        cxsink_error *err = NULL;
        uint32_t status = ingest(worker->round->sink, key, &err);
        worker->taken += status == CXSINK_STATUS_OK;
        worker->surprises += status != CXSINK_STATUS_OK && status != CXSINK_STATUS_STATE;
        cxsink_error_free(&err);
    }
}

static void poll_some(struct worker *worker)
{
    cxsink_notice *notice = NULL;
    uint32_t status;
    while ((status = cxsink_sink_poll(worker->round->sink, worker->number % 2 ? CXSINK_FOREVER : 100, &notice, NULL))
           != CXSINK_STATUS_CLOSED) {
        worker->surprises += status != CXSINK_STATUS_OK && status != CXSINK_STATUS_TIMEOUT;
        cxsink_notice_free(&notice);
    }
}

static void look_some(struct worker *worker)
{
    for (int look = 0; look < 5; look++) {
        cxsink_buffer *buffer = NULL;
        worker->surprises += cxsink_sink_stats(worker->round->sink, &buffer, NULL) != CXSINK_STATUS_OK;
        cxsink_buffer_free(&buffer);
        worker->surprises += cxsink_sink_counter(worker->round->sink, CXSINK_COUNTER_PENDING) > THREADS * EVENTS;
        worker->surprises += cxsink_sink_state(worker->round->sink) == CXSINK_STATE_FAILED;
        worker->surprises += cxsink_sink_dead_letters(worker->round->sink, 0, 10, true, &buffer, NULL) != CXSINK_STATUS_OK;
        cxsink_buffer_free(&buffer);
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    pthread_barrier_wait(&worker->round->barrier);
    switch (worker->number) {
    case 0:
    case 1:
    case 2:
        ingest_some(worker);
        break;
    case 3:
    case 4:
        poll_some(worker);
        break;
    case 5:
    case 6:
        look_some(worker);
        break;
    default:
        ingest_some(worker);
        if (worker->round->number % 2) {
            cxsink_sink_stop(worker->round->sink);
        } else {
            worker->surprises += cxsink_sink_close(worker->round->sink, CXSINK_FOREVER, NULL) != CXSINK_STATUS_OK;
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    cxsink_error *err = NULL;
    cxsink_config *config = config_in(argc > 1 ? argv[1] : ".");
    unsigned rounds = getenv("ROUNDS") ? (unsigned)atoi(getenv("ROUNDS")) : 1000;
    unsigned lost = 0, surprises = 0;
    uint64_t recovered_before = 0;

    for (unsigned number = 0; number < rounds; number++) {
        struct round round;
        struct worker workers[THREADS];
        pthread_t threads[THREADS];
        uint64_t taken = 0;
        cxsink_sink *sink = NULL;

        pthread_barrier_init(&round.barrier, NULL, THREADS);
        surprises += cxsink_sink_open(config, &sink, &err) != CXSINK_STATUS_OK;
        surprises += cxsink_sink_start(sink, &err) != CXSINK_STATUS_OK;
        round.sink = sink;
        round.number = number;
        for (unsigned thread = 0; thread < THREADS; thread++) {
            workers[thread] = (struct worker){&round, thread, 0, 0};
            pthread_create(&threads[thread], NULL, work, &workers[thread]);
        }
        for (unsigned thread = 0; thread < THREADS; thread++) {
            pthread_join(threads[thread], NULL);
            taken += workers[thread].taken;
            surprises += workers[thread].surprises;
        }
        surprises += cxsink_sink_close(sink, CXSINK_FOREVER, &err) != CXSINK_STATUS_OK;
        lost += cxsink_sink_counter(sink, CXSINK_COUNTER_RECEIVED) != taken;
        /* Each event has a key of its own: all of them are new rows, or still there for the next round. */
        lost += cxsink_sink_counter(sink, CXSINK_COUNTER_RECOVERED) != recovered_before;
        lost += cxsink_sink_counter(sink, CXSINK_COUNTER_INSERTED) + cxsink_sink_counter(sink, CXSINK_COUNTER_PENDING)
                != taken + recovered_before;
        recovered_before = cxsink_sink_counter(sink, CXSINK_COUNTER_PENDING);
        cxsink_sink_free(&sink);
        pthread_barrier_destroy(&round.barrier);
        if (surprises || lost) {
            fprintf(stderr, "round %u: %u surprises, %u accounts that do not add up: %s\n", number, surprises, lost,
                    cxsink_error_message(err));
            break;
        }
    }
    CHECK(surprises == 0 && lost == 0);
    cxsink_config_free(&config);
    return checked(__FILE__);
}
