/*
 * A local stand-in for CXone in libcxsink, to test an integration without an account: token endpoint and stream on
 * one loopback port, with faults on demand.
 *
 *     cxsink_simulator *cxone = cxsink_simulator_new();
 *     cxsink_simulator_set(cxone, "events", "1000", NULL);
 *     cxsink_simulator_start(cxone, NULL);
 *     cxsink_simulator_configure(cxone, config, NULL);
 *     ... open and start a sink with config ...
 *     cxsink_simulator_wait_finished(cxone, 10000, NULL);
 *     cxsink_simulator_free(&cxone);
 *
 * Made by cbindgen from bindings/c/src; edit that, then run `make header`.
 */

#ifndef CXSINK_SIMULATOR_H
#define CXSINK_SIMULATOR_H

#include "cxsink.h"

/**
 * A local stand-in for CXone: token endpoint and stream on one loopback port, with faults on demand. The events
 * depend only on its options.
 */
typedef struct cxsink_simulator cxsink_simulator;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * A simulator that is not started yet: a healthy server that sends 10,000 valid events as fast as they are read and then
 * keeps the stream open. `cxsink_simulator_set` changes this.
 *
 * Ownership: yours; free it by `cxsink_simulator_free`. Blocks: never. Threads: any.
 * Errors: none; NULL only after a bug in cxsink.
 */
cxsink_simulator *cxsink_simulator_new(void);

/**
 * Sets an option, for example "events" to "1000" or "redelivery_percent" to "10". `cxsink simulate --list` prints them;
 * the documentation of the Rust type SimulatorOptions explains them.
 *
 * Ownership: name and value are copied. Blocks: never. Threads: any. Errors: INVALID_ARGUMENT for an unknown option or a
 * bad value; STATE after the start; FORKED.
 */
cxsink_status cxsink_simulator_set(cxsink_simulator *simulator,
                                   const char *name,
                                   const char *value,
                                   cxsink_error **err);

/**
 * Listens on 127.0.0.1 and serves from threads of its own until `cxsink_simulator_stop`. Once.
 *
 * Ownership: none. Blocks: never. Threads: any. Errors: INVALID_ARGUMENT for options that contradict each other; CONNECT if the
 * port is not available; STATE after the first call; FORKED.
 */
cxsink_status cxsink_simulator_start(cxsink_simulator *simulator,
                                     cxsink_error **err);

/**
 * Sets the keys of a configuration (addresses, credentials, scope, stream) for a sink that reads from this simulator.
 *
 * Ownership: none. Blocks: never. Threads: one at a time for the configuration. Errors: STATE before the start; FORKED,
 * INVALID_ARGUMENT.
 */
cxsink_status cxsink_simulator_configure(const cxsink_simulator *simulator,
                                         cxsink_config *config,
                                         cxsink_error **err);

/**
 * Waits until every event was sent: CXSINK_STATUS_OK; CXSINK_STATUS_TIMEOUT, with `*err` NULL, if not in time, or if the
 * simulator was stopped before.
 *
 * Ownership: none. Blocks: for timeout_ms milliseconds at most; -1 waits without limit. Threads: any.
 * Errors: STATE before the start; FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_simulator_wait_finished(const cxsink_simulator *simulator,
                                             int32_t timeout_ms,
                                             cxsink_error **err);

/**
 * The numbers so far, as one JSON object: events, unique_keys (the rows of the table if no event was lost), redeliveries, updates, invalid, replays, connections, tokens_issued, finished and more.
 *
 * Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: any.
 * Errors: STATE before the start; FORKED, INVALID_ARGUMENT.
 */
cxsink_status cxsink_simulator_report(const cxsink_simulator *simulator,
                                      cxsink_buffer **out,
                                      cxsink_error **err);

/**
 * Cuts every connection, frees the port and waits for the threads. May be repeated; the report stays. Accepts NULL, and a
 * simulator that was not started.
 *
 * Ownership: none. Blocks: until its threads have ended, which they do at once. Threads: any. Errors: none.
 */
void cxsink_simulator_stop(cxsink_simulator *simulator);

/**
 * Stops the simulator, frees it and sets the variable to NULL. Accepts NULL, and a variable that is NULL.
 *
 * Ownership: takes the simulator. Blocks: until its threads have ended, which they do at once. Threads: any, after every
 * other call with it has returned. Errors: none; in a forked child it only sets the variable to NULL.
 */
void cxsink_simulator_free(cxsink_simulator **simulator);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CXSINK_SIMULATOR_H */
