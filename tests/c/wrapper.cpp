/* The C++ wrapper: every function once, exceptions, moves, timeouts, and a log function that throws. */
#include "cxsink.hpp"

#include <atomic>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "check.h"
#include "cxsink_simulator.hpp"

using namespace std::chrono_literals;

template <class T>
constexpr bool is_move_only = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>
                              && !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(is_move_only<cxsink::Config> && is_move_only<cxsink::Sink> && is_move_only<cxsink::Notice>);
static_assert(is_move_only<cxsink::DeadLetters> && is_move_only<cxsink::Validator> && is_move_only<cxsink::Simulator>);
static_assert(std::is_nothrow_copy_constructible_v<cxsink::Error>);
static_assert(std::is_base_of_v<std::exception, cxsink::Error>);

static std::string event(const std::string &key)
{
    return R"({"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":")" + key + "\"}";
}

template <class Call>
static bool throws(cxsink_status status, Call call)
{
    try {
        call();
    } catch (const cxsink::Error &error) {
        return error.status() == status && std::string(error.what()).size() > 3
               && error.detail().find(cxsink_status_name(status)) != std::string::npos;
    }
    return false;
}

/* How many events of the stream are dead letters. */
static std::uint64_t invalid = 0;

static cxsink::Config config_for(const std::string &folder)
{
    cxsink::Config config;
    config.set("spool.path", folder + "/spool.db").set("destination.url", "sqlite:" + folder + "/events.db");
    return config;
}

static void timeouts_are_rounded_up()
{
    CHECK(cxsink::Timeout(cxsink::forever).ms() == -1);
    CHECK(cxsink::Timeout(0s).ms() == 0);
    CHECK(cxsink::Timeout(-5s).ms() == 0);
    CHECK(cxsink::Timeout(1ns).ms() == 1);
    CHECK(cxsink::Timeout(1500us).ms() == 2);
    CHECK(cxsink::Timeout(2s).ms() == 2000);
    CHECK(cxsink::Timeout(std::chrono::duration<double>(0.25)).ms() == 250);
    CHECK(cxsink::Timeout(std::chrono::hours::max()).ms() == INT32_MAX);
    CHECK(cxsink::Timeout(std::chrono::nanoseconds::min()).ms() == 0);
}

static void errors_are_exceptions(const std::string &folder)
{
    cxsink::Config config = config_for(folder);
    CHECK(throws(CXSINK_STATUS_CONFIG, [&] { config.set("spool.byte_max", "1"); }));
    CHECK(throws(CXSINK_STATUS_CONFIG, [&] { cxsink::Config::load("/no/such/file"); }));
    CHECK(throws(CXSINK_STATUS_INVALID_ARGUMENT, [&] { config.value("no.key"); }));
    const std::string cut("calls\0_of_2026", 14);
    CHECK(throws(CXSINK_STATUS_INVALID_ARGUMENT, [&] { config.set("destination.table", cut); }));
    CHECK(throws(CXSINK_STATUS_INVALID_ARGUMENT, [&] { config.set(cut, "x"); }));
    CHECK(throws(CXSINK_STATUS_INVALID_ARGUMENT, [&] { cxsink::Config::load(cut); }));
    CHECK(throws(CXSINK_STATUS_INVALID_ARGUMENT, [&] { cxsink::Simulator().set("events", cut); }));
    CHECK(config.value("destination.table") == "cxone_events");
    CHECK(throws(CXSINK_STATUS_SPOOL, [&] { cxsink::DeadLetters letters(config); }));
    CHECK(throws(CXSINK_STATUS_SCHEMA, [&] { cxsink::validate(config, "{}"); }));
    CHECK(throws(CXSINK_STATUS_JSON, [&] { cxsink::validate(config, std::string_view()); }));
    try {
        config.set("spool.byte_max", "1");
    } catch (const cxsink::Error &error) {
        const cxsink::Error copy = error;
        CHECK(copy.hint().find("configuration.md") != std::string::npos && !copy.retryable());
        CHECK(std::string(copy.what()) == error.what());
    }
    CHECK(config.value("spool.path") == folder + "/spool.db");
    CHECK(config.value("oauth.client_secret") == std::nullopt);
    CHECK(cxsink::Config::keys().find("\"spool.bytes_max\"") != std::string::npos);
    cxsink::Config::from_env();
    config.validate();
    CHECK(cxsink::check_version());
}

static void a_sink_works_and_a_log_function_may_throw(const std::string &folder)
{
    auto alive = std::make_shared<std::atomic<int>>(0);
    std::weak_ptr<std::atomic<int>> watched = alive;
    cxsink::Config config = config_for(folder);
    cxsink::Simulator cxone;
    cxone.set("events", "500").set("invalid_percent", "2").start();
    cxone.configure(config);
    CHECK(!cxone.wait_finished(1ms));
    config.log(CXSINK_LOG_LEVEL_DEBUG, [alive](const cxsink::LogRecord &record) {
        *alive += record.target.substr(0, 6) == "cxsink" && !record.message.empty();
        throw std::runtime_error("no further than this");
    });
    alive.reset();
    CHECK(!watched.expired());
    cxsink::init_db(config);
    CHECK(cxsink::init_db_sql(config).find("CREATE TABLE") != std::string::npos);
    {
        cxsink::Sink opened(config);
        cxsink::Sink sink = std::move(opened);
        cxsink::Notice notice;
        CHECK(!notice && notice.kind() == 0 && !notice.state() && !notice.error() && notice.json().empty());
        CHECK(sink.poll(notice, 1ms) == CXSINK_STATUS_TIMEOUT && !notice);
        CHECK(sink.state() == CXSINK_STATE_OPEN);
        sink.start();
        CHECK(throws(CXSINK_STATUS_STATE, [&] { sink.start(); }));
        sink.ingest(event("own"));
        CHECK(throws(CXSINK_STATUS_SCHEMA, [&] { sink.ingest("{}"); }));
        CHECK(throws(CXSINK_STATUS_JSON, [&] { sink.ingest({}); }));
        sink.ingest_many({});
        try {
            const std::string good = event("own");
            sink.ingest_many({good, good, "{}", good}, 1s);
            CHECK(false);
        } catch (const cxsink::Error &error) {
            CHECK(error.status() == CXSINK_STATUS_SCHEMA && error.index() == 2);
        }
        std::istringstream lines(event("line-1") + "\n" + event("line-2"));
        CHECK(sink.import(lines) == 2);
        CHECK(sink.import_file("/dev/null") == 0);
        CHECK(cxone.wait_finished(120s));
        CHECK(wait_counter(sink.get(), CXSINK_COUNTER_RECEIVED, 505));
        std::size_t seen = 0;
        bool saw_running = false;
        std::thread closer([&] { sink.close(120s); });
        for (const cxsink::Notice &each : sink.notices()) {
            seen += each.json().size() > 2;
            saw_running = saw_running || each.state() == CXSINK_STATE_RUNNING;
        }
        closer.join();
        CHECK(seen > 3 && saw_running);
        CHECK(sink.notices().begin() == sink.notices().end());
        CHECK(sink.state() == CXSINK_STATE_CLOSED && !sink.failure());
        CHECK(sink.counter(CXSINK_COUNTER_RECEIVED) == 505);
        invalid = sink.counter(CXSINK_COUNTER_DEAD_LETTERED);
        CHECK(invalid > 2 && cxone.report().find("\"invalid\":" + std::to_string(invalid) + ",") != std::string::npos);
        CHECK(sink.stats().find("\"received\":505") != std::string::npos);
        CHECK(sink.metrics().find("\ncxsink_events_received_total 505\n") != std::string::npos);
        CHECK(sink.dead_letters(0, 1, true).find("\"event") != std::string::npos);
        CHECK(sink.connections() == cxsink::connections(config) && sink.gaps() == cxsink::gaps(config));
        CHECK(cxone.report().find("\"finished\":true") != std::string::npos);
        sink.stop();
        cxone.stop();
    }
    cxsink::Config whole;
    whole.set("destination.url", "sqlite::memory:").set("spool.path", ":memory:");
    whole.set("streams.sales.id", "s-1").set("streams.emea-calls.id", "s-2").set("oauth.client_id", "id");
    whole.set("oauth.client_secret", "secret");
    CHECK(whole.stream_names() == R"(["sales","emea-calls"])" && config.stream_names() == "[]");
    CHECK(whole.for_stream("sales").value("stream.id") == "s-1" && whole.value("streams.sales.id") == "s-1");
    {
        const cxsink::Sink sales(whole.for_stream("sales")), calls(whole.for_stream("emea-calls"));
        CHECK(cxsink::metrics_of({&sales, &calls}).find("cxsink_spool_events{stream=\"emea-calls\"} 0\n") != std::string::npos);
        CHECK(cxsink::metrics_of({}).empty());
    }
    const cxsink::CheckReport found = cxsink::check(config, CXSINK_CHECK_FLAG_DESTINATION);
    CHECK(found.is_ok && found.json.find("destination.table") != std::string::npos);
    CHECK(cxsink::peek(config, 2).find("\"columns\"") != std::string::npos);
    CHECK(*watched.lock() > 3);
    config = cxsink::Config();
    CHECK(watched.expired());
}

static void dead_letters_from_outside(const std::string &folder)
{
    cxsink::Config config = config_for(folder);
    cxsink::DeadLetters letters(config);
    const cxsink::Validator validator(config);
    CHECK(letters.count() == invalid);
    const std::string listed = letters.list(0, 1, false);
    CHECK(listed.find("\"offset\":") != std::string::npos);
    const std::uint64_t offset = std::stoull(listed.substr(listed.find("\"offset\":") + 9));
    CHECK(throws(CXSINK_STATUS_INVALID_ARGUMENT, [&] { letters.purge(0); }));
    const cxsink::Validator columns = cxsink::Validator::for_table(config);
    CHECK(throws(CXSINK_STATUS_UNMAPPED, [&] {
        columns.validate(R"({"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k","attributes":{"duration":0.5}})");
    }));
    CHECK(letters.event(offset).has_value() && !letters.event(1000000).has_value());
    try {
        validator.validate(letters.event(offset).value());
        CHECK(false);
    } catch (const cxsink::Error &error) {
        CHECK(error.status() == CXSINK_STATUS_JSON || error.status() == CXSINK_STATUS_SCHEMA);
    }
    CHECK(cxsink::replay_dry_run(config, cxsink::Selection::all()).find("\"rejected\":" + std::to_string(invalid)) != std::string::npos);
    CHECK(cxsink::replay(config, cxsink::Selection::of({}), 10s).find("\"rejected\":0") != std::string::npos);
    CHECK(cxsink::replay(config, cxsink::Selection::of({offset}), 10s).find("\"rejected\":1") != std::string::npos);
    {
        cxsink::Sink sink(config);
        sink.start();
        CHECK(sink.replay(cxsink::Selection::of({offset, 1000000})).find("\"skipped\":1") != std::string::npos);
    }
    letters.mark_exported({});
    letters.mark_exported({offset});
    CHECK(letters.purge(CXSINK_PURGE_FLAG_EXPORTED).find("\"deleted\":1") != std::string::npos);
    CHECK(letters.purge(CXSINK_PURGE_FLAG_UNSEEN, 1).find("\"deleted\":0") != std::string::npos);
    CHECK(letters.count() == invalid - 1);
}

/* A stream whose reading throws something of its own. */
struct Throwing : std::streambuf {
    int_type underflow() override { throw std::logic_error("mine"); }
};

static void what_a_stream_throws_comes_out(const std::string &folder)
{
    cxsink::Sink sink(config_for(folder));
    Throwing buffer;
    std::istream lines(&buffer);
    lines.exceptions(std::ios::badbit);
    bool was_mine = false;
    try {
        sink.import(lines);
    } catch (const std::logic_error &error) {
        was_mine = std::string(error.what()) == "mine";
    }
    CHECK(was_mine);
    std::istringstream strict(event("strict"));
    strict.exceptions(std::ios::badbit | std::ios::failbit | std::ios::eofbit);
    CHECK(sink.import(strict) == 1);
}

static void a_failed_sink_says_why(const std::string &folder)
{
    cxsink::Config config = config_for(folder);
    config.set("destination.table", "no_such_table");
    cxsink::Sink sink(config);
    CHECK(throws(CXSINK_STATUS_DATABASE, [&] { sink.start(); }));
    CHECK(sink.failure().has_value() && sink.failure()->status() == CXSINK_STATUS_DATABASE);
    bool told = false;
    for (const cxsink::Notice &notice : sink.notices()) {
        told = told || (notice.error() && notice.error()->status() == CXSINK_STATUS_DATABASE);
    }
    CHECK(told);
}

int main(int argc, char **argv)
{
    const std::string folder = argc > 1 ? argv[1] : ".";
    timeouts_are_rounded_up();
    errors_are_exceptions(folder);
    a_sink_works_and_a_log_function_may_throw(folder);
    dead_letters_from_outside(folder);
    what_a_stream_throws_comes_out(folder);
    a_failed_sink_says_why(folder);
    return checked(__FILE__);
}
