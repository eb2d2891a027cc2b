/*
 * Runs a sink until SIGINT or SIGTERM: prints each notice as a line of JSON, and a summary at the end.
 *
 *     sink [--config FILE] [--init-db] [--simulate EVENTS]
 *
 * As examples/c/sink.c, which describes the options.
 */
#include <chrono>
#include <csignal>
#include <iostream>
#include <mutex>
#include <optional>
#include <string>

#include <cxsink.hpp>
#include <cxsink_simulator.hpp>

namespace {

volatile std::sig_atomic_t interrupted = 0;

extern "C" void on_signal(int signal_number)
{
    interrupted = 1;
    std::signal(signal_number, SIG_DFL);
}

struct Options {
    std::optional<std::string> file;
    std::optional<std::string> events;
    bool init_db = false;
};

std::optional<Options> read_options(int argc, char **argv)
{
    Options options;
    for (int i = 1; i < argc; i++) {
        const std::string option = argv[i];
        if (option == "--init-db") {
            options.init_db = true;
        } else if (i + 1 < argc && option == "--config") {
            options.file = argv[++i];
        } else if (i + 1 < argc && option == "--simulate") {
            options.events = argv[++i];
        } else {
            return std::nullopt;
        }
    }
    return options;
}

void print_summary(const cxsink::Sink &sink)
{
    std::cout << cxsink_state_name(sink.state()) << '\n';
    for (std::uint32_t which = 0; std::string(cxsink_counter_name(which)) != "UNKNOWN"; which++) {
        std::cout << "  " << cxsink_counter_name(which) << ' ' << sink.counter(static_cast<cxsink_counter>(which)) << '\n';
    }
}

void run(const Options &options)
{
    using namespace std::chrono_literals;
    std::mutex lock; // the log comes from several threads
    cxsink::Config config = options.file ? cxsink::Config::load(*options.file) : cxsink::Config::from_env();
    config.log(CXSINK_LOG_LEVEL_INFO, [&lock](const cxsink::LogRecord &record) {
        const std::lock_guard<std::mutex> locked(lock);
        std::cerr << record.target << ": " << record.message << '\n';
    });
    cxsink::Simulator simulator;
    if (options.events) {
        simulator.set("events", *options.events).start();
        simulator.configure(config);
    }
    if (options.init_db) {
        cxsink::init_db(config);
    }

    cxsink::Sink sink(config);
    sink.start();
    cxsink::Notice notice;
    cxsink_status status = CXSINK_STATUS_OK;
    while (!interrupted && status != CXSINK_STATUS_CLOSED) {
        // Not forever, so that a signal is seen; without one, `for (const auto &notice : sink.notices())` does it.
        status = sink.poll(notice, 100ms);
        if (notice) {
            std::cout << notice.json() << std::endl;
        }
    }
    try {
        sink.close(30s);
    } catch (...) {
        print_summary(sink);
        throw;
    }
    print_summary(sink);
}

} // namespace

int main(int argc, char **argv)
{
    if (!cxsink::check_version()) {
        std::cerr << "compiled for cxsink " CXSINK_VERSION_STRING ", but " << cxsink_version_string() << " is loaded\n";
        return 2;
    }
    const std::optional<Options> options = read_options(argc, argv);
    if (!options) {
        std::cerr << "usage: sink [--config FILE] [--init-db] [--simulate EVENTS]\n";
        return 2;
    }
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    try {
        run(*options);
    } catch (const cxsink::Error &error) {
        std::cerr << cxsink_status_name(error.status()) << ": " << error.what() << '\n';
        if (!error.hint().empty()) {
            std::cerr << "  " << error.hint() << '\n';
        }
        return 1;
    }
    return 0;
}
