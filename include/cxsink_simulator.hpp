/*
 * The simulator of CXone for C++17; see cxsink_simulator.h.
 *
 *     cxsink::Simulator cxone;
 *     cxone.set("events", "1000").start();
 *     cxone.configure(config);
 */

#ifndef CXSINK_SIMULATOR_HPP
#define CXSINK_SIMULATOR_HPP

#include <string>

#include "cxsink.hpp"
#include "cxsink_simulator.h"

namespace cxsink {

/** A local stand-in for CXone. The destructor stops it. */
class Simulator {
public:
    /** Not started, with the default options. */
    Simulator() : handle_(cxsink_simulator_new())
    {
        if (!handle_) {
            throw Error(CXSINK_STATUS_PANIC, nullptr);
        }
    }

    /** Sets an option before the start. */
    Simulator &set(const std::string &name, const std::string &value)
    {
        detail::checked([&](cxsink_error **err) {
            return cxsink_simulator_set(get(), detail::c_text(name), detail::c_text(value), err);
        });
        return *this;
    }

    void start()
    {
        detail::checked([&](cxsink_error **err) { return cxsink_simulator_start(get(), err); });
    }

    /** Sets the keys of a configuration for a sink that reads from this simulator. */
    void configure(Config &config) const
    {
        detail::checked([&](cxsink_error **err) { return cxsink_simulator_configure(get(), config.get(), err); });
    }

    /** Whether every event was sent within the timeout. */
    bool wait_finished(Timeout timeout) const
    {
        return detail::checked([&](cxsink_error **err) {
                   return cxsink_simulator_wait_finished(get(), timeout.ms(), err);
               })
               == CXSINK_STATUS_OK;
    }

    /** The numbers so far, as a JSON object. */
    std::string report() const
    {
        return detail::text(
            [&](cxsink_buffer **out, cxsink_error **err) { return cxsink_simulator_report(get(), out, err); });
    }

    void stop() noexcept { cxsink_simulator_stop(get()); }

    cxsink_simulator *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<cxsink_simulator, cxsink_simulator_free> handle_;
};

} // namespace cxsink

#endif
