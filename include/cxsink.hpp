/*
 * cxsink for C++17: a thin layer over cxsink.h, header-only.
 *
 *     cxsink::Sink sink(cxsink::Config::load("cxsink.toml"));
 *     sink.start();
 *     for (const cxsink::Notice &notice : sink.notices())
 *         std::cout << notice.json() << '\n';
 *     sink.close(std::chrono::seconds(30));
 *
 * Differences from C: a failed call throws cxsink::Error, objects free themselves, timeouts are durations of std::chrono, and
 * results are std::string. The function of the same name in cxsink.h documents behaviour and errors. Every type can be moved
 * but not copied; a moved-from object can only be assigned or destroyed.
 *
 * Numbers (cxsink_status, cxsink_state, cxsink_counter, cxsink_notice_kind, cxsink_log_level, cxsink_purge_flag) are those of C.
 */

#ifndef CXSINK_HPP
#define CXSINK_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <istream>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "cxsink.h"

namespace cxsink {

/** The error of a failed call. what() is "what failed: reason". */
class Error : public std::runtime_error {
public:
    /** Copies the error of a C function, which the caller still owns; NULL if there is none. */
    Error(cxsink_status status, const cxsink_error *error)
        : std::runtime_error(error ? cxsink_error_message(error) : cxsink_status_name(status)),
          status_(status),
          retryable_(cxsink_error_is_retryable(error)),
          index_(cxsink_error_index(error)),
          texts_(std::make_shared<Texts>(Texts{cxsink_error_hint(error), cxsink_error_detail_json(error)}))
    {
    }

    /** An error that this layer finds itself. The message has no character that JSON escapes. */
    Error(cxsink_status status, const std::string &message)
        : std::runtime_error(message), status_(status), retryable_(false), index_(UINT64_MAX),
          texts_(std::make_shared<Texts>(Texts{"", R"({"kind":")" + std::string(cxsink_status_name(status)) + R"(","code":)"
                                                       + std::to_string(status) + R"(,"message":")" + message
                                                       + R"(","retryable":false})"}))
    {
    }

    cxsink_status status() const noexcept { return status_; }
    /** Whether the same call may succeed later without a change. */
    bool retryable() const noexcept { return retryable_; }
    /** The index of the first event that Sink::ingest_many did not accept; every event before it was accepted. */
    std::optional<std::uint64_t> index() const noexcept
    {
        return index_ == UINT64_MAX ? std::nullopt : std::optional(index_);
    }
    /** The hint: how to fix it; empty if unknown. */
    const std::string &hint() const noexcept { return texts_->hint; }
    /** Everything as one JSON object. */
    const std::string &detail() const noexcept { return texts_->detail; }

private:
    struct Texts {
        std::string hint;
        std::string detail;
    };
    cxsink_status status_;
    bool retryable_;
    std::uint64_t index_;
    /** Shared, as an exception must be copied without throwing. */
    std::shared_ptr<const Texts> texts_;
};

/** A timeout without limit. */
struct Forever {};
inline constexpr Forever forever{};

/** The limit of a call: any duration of std::chrono, rounded up to milliseconds, or forever. */
class Timeout {
public:
    Timeout(Forever) noexcept : ms_(CXSINK_FOREVER) {}

    template <class Rep, class Period>
    Timeout(std::chrono::duration<Rep, Period> duration) noexcept
    {
        const double ms = std::chrono::duration<double, std::milli>(duration).count();
        constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();
        if (!(ms > 0)) {
            ms_ = 0;
        } else if (ms >= static_cast<double>(most)) {
            ms_ = most;
        } else {
            ms_ = static_cast<std::int32_t>(ms);
            ms_ += static_cast<double>(ms_) < ms;
        }
    }

    std::int32_t ms() const noexcept { return ms_; }

private:
    std::int32_t ms_;
};

/** A log record, valid during the call that passes it. */
struct LogRecord {
    cxsink_log_level level;
    std::string_view target;
    std::string_view message;
};

namespace detail {

/** Frees a handle by its C function. */
template <auto Free>
struct Freer {
    template <class T>
    void operator()(T *handle) const noexcept
    {
        Free(&handle);
    }
};

template <class T, auto Free>
using Handle = std::unique_ptr<T, Freer<Free>>;

using ErrorHandle = Handle<cxsink_error, cxsink_error_free>;
using BufferHandle = Handle<cxsink_buffer, cxsink_buffer_free>;

/** Makes a call with a variable for the error; throws the error, or returns the status. */
template <class Call>
cxsink_status checked(Call call)
{
    cxsink_error *raw = nullptr;
    const auto status = static_cast<cxsink_status>(call(&raw));
    const ErrorHandle error(raw);
    if (error || status >= CXSINK_STATUS_INVALID_ARGUMENT) {
        throw Error(status, error.get());
    }
    return status;
}

/** The text for C, where a NUL character would end it; throws if it contains one. */
inline const char *c_text(const std::string &text)
{
    if (text.find('\0') != std::string::npos) {
        throw Error(CXSINK_STATUS_INVALID_ARGUMENT, "passing a text to the C library: it contains a NUL character");
    }
    return text.c_str();
}

/** Makes a call with variables for a handle and for the error. */
template <class T, class Call>
T *made(Call call)
{
    T *handle = nullptr;
    checked([&](cxsink_error **err) { return call(&handle, err); });
    return handle;
}

/** Makes a call whose result is a buffer; nullopt if it returns none. */
template <class Call>
std::optional<std::string> optional_text(Call call)
{
    const BufferHandle buffer(made<cxsink_buffer>(call));
    if (!buffer) {
        return std::nullopt;
    }
    std::size_t len = 0;
    const char *data = cxsink_buffer_data(buffer.get(), &len);
    return std::string(data, len);
}

template <class Call>
std::string text(Call call)
{
    return optional_text(call).value_or(std::string());
}

/** A C log callback around a callable. Its exceptions end here. */
template <class Function>
struct LogCallback {
    static void call(std::uint32_t level, const char *target, const char *message, std::size_t len, void *user_data) noexcept
    {
        try {
            (*static_cast<Function *>(user_data))(
                LogRecord{static_cast<cxsink_log_level>(level), target, std::string_view(message, len)});
        } catch (...) {
        }
    }

    static void free(void *user_data) noexcept { delete static_cast<Function *>(user_data); }
};

/** A C read callback around a stream, whose exception is thrown again at the end of the call. */
class StreamReader {
public:
    explicit StreamReader(std::istream &from) noexcept : stream(from) {}

    std::exception_ptr thrown;

    static std::ptrdiff_t read(char *buffer, std::size_t capacity, void *user_data) noexcept
    {
        auto &reader = *static_cast<StreamReader *>(user_data);
        std::size_t given = 0;
        try {
            return reader.stream.bad() ? -1 : reader.some(buffer, capacity, given);
        } catch (...) {
            // A stream with exceptions enabled throws at its end as well; that is not an error here.
            if (reader.stream.eof() && !reader.stream.bad()) {
                return static_cast<std::ptrdiff_t>(given);
            }
            reader.thrown = std::current_exception();
            return -1;
        }
    }

private:
    std::istream &stream;
    bool is_line_by_line = false;

    /** What has arrived; or one line, where the stream does not tell. To fill the buffer could take as long as a pipe stays open. */
    std::ptrdiff_t some(char *buffer, std::size_t capacity, std::size_t &given)
    {
        constexpr auto end = std::istream::traits_type::eof();
        if (stream.peek() != end) {
            given = static_cast<std::size_t>(stream.readsome(buffer, static_cast<std::streamsize>(capacity)));
        }
        while (given == 0 || (is_line_by_line && given < capacity && buffer[given - 1] != '\n')) {
            const auto next = stream.get();
            if (next == end) {
                break;
            }
            is_line_by_line = true;
            buffer[given++] = std::istream::traits_type::to_char_type(next);
        }
        return stream.bad() ? -1 : static_cast<std::ptrdiff_t>(given);
    }
};

} // namespace detail

/** Whether the loaded library serves this header. */
inline bool check_version() noexcept
{
    return CXSINK_CHECK_VERSION();
}

/** The configuration of a sink. */
class Config {
public:
    /** The defaults. */
    Config() : handle_(cxsink_config_new())
    {
        if (!handle_) {
            throw Error(CXSINK_STATUS_PANIC, nullptr);
        }
    }

    /** From a TOML file, .env and the environment. */
    static Config load(const std::string &path)
    {
        Config config;
        detail::checked([&](cxsink_error **err) { return cxsink_config_load(config.get(), detail::c_text(path), err); });
        return config;
    }

    /** From .env and the environment. */
    static Config from_env()
    {
        Config config;
        detail::checked([&](cxsink_error **err) { return cxsink_config_load_env(config.get(), err); });
        return config;
    }

    /** Every key, as a JSON array. */
    static std::string keys()
    {
        return detail::text([](cxsink_buffer **out, cxsink_error **err) { return cxsink_config_keys(out, err); });
    }

    Config &set(const std::string &key, const std::string &value)
    {
        detail::checked([&](cxsink_error **err) {
            return cxsink_config_set(get(), detail::c_text(key), detail::c_text(value), err);
        });
        return *this;
    }

    /** The value of a key, if it is set; a secret is shown as "***". */
    std::optional<std::string> value(const std::string &key) const
    {
        return detail::optional_text(
            [&](cxsink_buffer **out, cxsink_error **err) { return cxsink_config_get(get(), detail::c_text(key), out, err); });
    }

    /** The names of the streams, as a JSON array; empty for a configuration of one stream, without a name. */
    std::string stream_names() const
    {
        return detail::text(
            [&](cxsink_buffer **out, cxsink_error **err) { return cxsink_config_stream_names(get(), out, err); });
    }

    /** The configuration of one of several streams, for a sink of its own; it logs to the same function. */
    Config for_stream(const std::string &name) const
    {
        return Config(detail::made<cxsink_config>([&](cxsink_config **out, cxsink_error **err) {
            return cxsink_config_for_stream(get(), detail::c_text(name), out, err);
        }));
    }

    void validate() const
    {
        detail::checked([&](cxsink_error **err) { return cxsink_config_validate(get(), err); });
    }

    /**
     * Sends the log to a function that takes a const LogRecord &. The configuration and its sinks keep the function, and
     * destroy it with the last of them. Any thread may call it, several at the same time; its exceptions are dropped.
     */
    template <class Function>
    Config &log(cxsink_log_level max_level, Function &&function)
    {
        using Stored = std::decay_t<Function>;
        static_assert(std::is_invocable_v<Stored &, const LogRecord &>, "a log function takes a const cxsink::LogRecord &");
        auto stored = std::make_unique<Stored>(std::forward<Function>(function));
        detail::checked([&](cxsink_error **err) {
            return cxsink_config_set_log(get(), max_level, detail::LogCallback<Stored>::call, stored.get(),
                                         detail::LogCallback<Stored>::free, err);
        });
        // The library owns it now.
        static_cast<void>(stored.release());
        return *this;
    }

    /** The C handle, which this object still owns. */
    cxsink_config *get() const noexcept { return handle_.get(); }

private:
    explicit Config(cxsink_config *handle) : handle_(handle) {}

    detail::Handle<cxsink_config, cxsink_config_free> handle_;
};

/** Something that happened. */
class Notice {
public:
    /** No notice; Sink::poll sets one. */
    Notice() = default;
    /** Takes a C notice. */
    explicit Notice(cxsink_notice *notice) noexcept : handle_(notice) {}

    explicit operator bool() const noexcept { return handle_ != nullptr; }

    cxsink_notice_kind kind() const noexcept { return static_cast<cxsink_notice_kind>(cxsink_notice_get_kind(get())); }

    /** Of a notice of the kind STATE. */
    std::optional<cxsink_state> state() const noexcept
    {
        const std::uint32_t state = cxsink_notice_get_state(get());
        return state == UINT32_MAX ? std::nullopt : std::optional(static_cast<cxsink_state>(state));
    }

    /** Of a notice of the kind ERROR. */
    std::optional<Error> error() const
    {
        const cxsink_error *error = cxsink_notice_get_error(get());
        return error ? std::optional(Error(cxsink_error_status(error), error)) : std::nullopt;
    }

    /** Everything as one JSON object; the text lives as long as the notice. */
    std::string_view json() const noexcept
    {
        std::size_t len = 0;
        const char *json = cxsink_notice_json(get(), &len);
        return {json, len};
    }

    cxsink_notice *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<cxsink_notice, cxsink_notice_free> handle_;
};

/** The dead letters to replay. */
class Selection {
public:
    /** All that were not replayed yet. */
    static Selection all() { return Selection({}, true); }
    /** Those with these offsets. */
    static Selection of(std::vector<std::uint64_t> offsets) { return Selection(std::move(offsets), false); }

    const std::uint64_t *data() const noexcept { return offsets_.data() ? offsets_.data() : &none; }
    std::size_t count() const noexcept { return is_all_ ? CXSINK_ALL : offsets_.size(); }

private:
    Selection(std::vector<std::uint64_t> offsets, bool is_all) : offsets_(std::move(offsets)), is_all_(is_all) {}
    /** An empty list selects none. */
    static constexpr std::uint64_t none = 0;
    std::vector<std::uint64_t> offsets_;
    bool is_all_;
};

/**
 * Reads the stream into the table, through the spool. Every function may be called from any thread at any time, except the
 * destructor and an assignment, which come last.
 */
class Sink {
public:
    /** Opens the spool; starts nothing. */
    explicit Sink(const Config &config)
        : handle_(detail::made<cxsink_sink>(
              [&](cxsink_sink **out, cxsink_error **err) { return cxsink_sink_open(config.get(), out, err); }))
    {
    }

    void start()
    {
        detail::checked([&](cxsink_error **err) { return cxsink_sink_start(get(), err); });
    }

    /**
     * CXSINK_STATUS_OK with a notice, CXSINK_STATUS_TIMEOUT if none came in time, CXSINK_STATUS_CLOSED once the sink has
     * ended and every notice was fetched.
     */
    cxsink_status poll(Notice &notice, Timeout timeout)
    {
        cxsink_notice *found = nullptr;
        const cxsink_status status =
            detail::checked([&](cxsink_error **err) { return cxsink_sink_poll(get(), timeout.ms(), &found, err); });
        notice = Notice(found);
        return status;
    }

    class NoticeIterator;
    class NoticeRange;
    /** The notices until the end of the sink; each step waits for the next one. */
    NoticeRange notices();

    /** Accepts an event from the application. */
    void ingest(std::string_view json)
    {
        const char *data = json.data() ? json.data() : "";
        detail::checked([&](cxsink_error **err) { return cxsink_sink_ingest(get(), data, json.size(), err); });
    }

    /** Accepts many events, many in one transaction. After an exception, its index() is the number of events accepted. */
    void ingest_many(const std::vector<std::string_view> &events, Timeout timeout = forever)
    {
        static const char *const none = "";
        std::vector<const char *> texts;
        std::vector<std::size_t> lens;
        for (const std::string_view event : events) {
            texts.push_back(event.data() ? event.data() : none);
            lens.push_back(event.size());
        }
        detail::checked([&](cxsink_error **err) {
            return cxsink_sink_ingest_many(get(), texts.empty() ? &none : texts.data(), lens.data(), texts.size(), timeout.ms(),
                                           nullptr, err);
        });
    }

    /** Accepts events from JSON Lines until the end of the stream; returns their number. Throws what the stream throws. */
    std::uint64_t import(std::istream &lines)
    {
        detail::StreamReader reader(lines);
        std::uint64_t accepted = 0;
        try {
            detail::checked([&](cxsink_error **err) {
                return cxsink_sink_import(get(), detail::StreamReader::read, &reader, &accepted, err);
            });
        } catch (const Error &) {
            if (reader.thrown) {
                std::rethrow_exception(reader.thrown);
            }
            throw;
        }
        return accepted;
    }

    std::uint64_t import_file(const std::string &path)
    {
        std::uint64_t accepted = 0;
        detail::checked([&](cxsink_error **err) { return cxsink_sink_import_file(get(), detail::c_text(path), &accepted, err); });
        return accepted;
    }

    /** Accepts the dead letters of an export as late events; returns their number. */
    std::uint64_t import_exported_file(const std::string &path)
    {
        std::uint64_t accepted = 0;
        detail::checked([&](cxsink_error **err) {
            return cxsink_sink_import_exported_file(get(), detail::c_text(path), &accepted, err);
        });
        return accepted;
    }

    /** The statistics as a JSON object. */
    std::string stats() const
    {
        return detail::text([&](cxsink_buffer **out, cxsink_error **err) { return cxsink_sink_stats(get(), out, err); });
    }

    /** The metrics in Prometheus' text format. */
    std::string metrics() const
    {
        return detail::text([&](cxsink_buffer **out, cxsink_error **err) { return cxsink_sink_metrics(get(), out, err); });
    }

    std::uint64_t counter(cxsink_counter counter) const noexcept { return cxsink_sink_counter(get(), counter); }
    cxsink_state state() const noexcept { return static_cast<cxsink_state>(cxsink_sink_state(get())); }

    /** The error that ended the sink, if it failed. */
    std::optional<Error> failure() const
    {
        cxsink_error *raw = nullptr;
        const cxsink_status status = cxsink_sink_failure(get(), &raw);
        const detail::ErrorHandle error(raw);
        return status == CXSINK_STATUS_OK ? std::nullopt : std::optional(Error(status, error.get()));
    }

    /** Dead letters as a JSON array. */
    std::string dead_letters(std::uint64_t from, std::size_t count, bool with_event) const
    {
        return detail::text([&](cxsink_buffer **out, cxsink_error **err) {
            return cxsink_sink_dead_letters(get(), from, count, with_event, out, err);
        });
    }

    /** Replays dead letters; returns the report as a JSON object. */
    std::string replay(const Selection &selection)
    {
        return detail::text([&](cxsink_buffer **out, cxsink_error **err) {
            return cxsink_sink_replay(get(), selection.data(), selection.count(), out, err);
        });
    }

    /** Replays dead letters, and overwrites rows that later events have written; returns the report as a JSON object. */
    std::string replay_forced(const Selection &selection)
    {
        return detail::text([&](cxsink_buffer **out, cxsink_error **err) {
            return cxsink_sink_replay_forced(get(), selection.data(), selection.count(), out, err);
        });
    }

    /** The connections to the stream as a JSON array. */
    std::string connections() const
    {
        return detail::text(
            [&](cxsink_buffer **out, cxsink_error **err) { return cxsink_sink_connections(get(), out, err); });
    }

    /** The times in which events may have been missed, as a JSON array. */
    std::string gaps() const
    {
        return detail::text([&](cxsink_buffer **out, cxsink_error **err) { return cxsink_sink_gaps(get(), out, err); });
    }

    /** Begins a graceful stop; does not wait for it. */
    void stop() noexcept { cxsink_sink_stop(get()); }

    /** Stops, and waits until the spooled events are committed. */
    void close(Timeout timeout = std::chrono::seconds(30))
    {
        detail::checked([&](cxsink_error **err) { return cxsink_sink_close(get(), timeout.ms(), err); });
    }

    cxsink_sink *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<cxsink_sink, cxsink_sink_free> handle_;
};

/** Iterates over the notices of a sink, once. */
class Sink::NoticeIterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Notice;
    using difference_type = std::ptrdiff_t;
    using pointer = const Notice *;
    using reference = const Notice &;

    /** The end. */
    NoticeIterator() = default;

    explicit NoticeIterator(Sink &sink) : sink_(&sink) { ++*this; }

    reference operator*() const noexcept { return *notice_; }
    pointer operator->() const noexcept { return notice_.get(); }

    NoticeIterator &operator++()
    {
        Notice notice;
        // Waits for a notice or the end.
        static_cast<void>(sink_->poll(notice, forever));
        notice_ = notice ? std::make_shared<Notice>(std::move(notice)) : nullptr;
        return *this;
    }

    NoticeIterator operator++(int)
    {
        NoticeIterator before = *this;
        ++*this;
        return before;
    }

    friend bool operator==(const NoticeIterator &a, const NoticeIterator &b) noexcept { return a.notice_ == b.notice_; }
    friend bool operator!=(const NoticeIterator &a, const NoticeIterator &b) noexcept { return !(a == b); }

private:
    Sink *sink_ = nullptr;
    /** Shared by the copies of an iterator. */
    std::shared_ptr<Notice> notice_;
};

/** The notices of a sink, for a range-based for loop. */
class Sink::NoticeRange {
public:
    explicit NoticeRange(Sink &sink) noexcept : sink_(&sink) {}
    NoticeIterator begin() const { return NoticeIterator(*sink_); }
    NoticeIterator end() const noexcept { return {}; }

private:
    Sink *sink_;
};

inline Sink::NoticeRange Sink::notices()
{
    return NoticeRange(*this);
}

/** The metrics of several sinks in one text, with the label stream. */
inline std::string metrics_of(const std::vector<const Sink *> &sinks)
{
    std::vector<const cxsink_sink *> handles;
    for (const Sink *sink : sinks) {
        handles.push_back(sink->get());
    }
    static const cxsink_sink *const none = nullptr;
    return detail::text([&](cxsink_buffer **out, cxsink_error **err) {
        return cxsink_metrics_of(handles.empty() ? &none : handles.data(), handles.size(), out, err);
    });
}

/** The dead letters of a spool file, without a sink. */
class DeadLetters {
public:
    explicit DeadLetters(const Config &config)
        : handle_(detail::made<cxsink_dead_letters>([&](cxsink_dead_letters **out, cxsink_error **err) {
              return cxsink_dead_letters_open(config.get(), out, err);
          }))
    {
    }

    std::uint64_t count() const
    {
        std::uint64_t count = 0;
        detail::checked([&](cxsink_error **err) { return cxsink_dead_letters_count(get(), &count, err); });
        return count;
    }

    /** A JSON array. */
    std::string list(std::uint64_t from, std::size_t count, bool with_event) const
    {
        return detail::text([&](cxsink_buffer **out, cxsink_error **err) {
            return cxsink_dead_letters_list(get(), from, count, with_event, out, err);
        });
    }

    /** The event, byte for byte, if a dead letter has this offset. */
    std::optional<std::string> event(std::uint64_t offset) const
    {
        return detail::optional_text([&](cxsink_buffer **out, cxsink_error **err) {
            return cxsink_dead_letters_event(get(), offset, out, err);
        });
    }

    void mark_exported(const std::vector<std::uint64_t> &offsets)
    {
        const Selection selection = Selection::of(offsets);
        detail::checked([&](cxsink_error **err) {
            return cxsink_dead_letters_mark_exported(get(), selection.data(), selection.count(), err);
        });
    }

    /** Deletes those that a sum of cxsink_purge_flag selects; returns the report as a JSON object. */
    std::string purge(std::uint32_t which, std::int64_t before = INT64_MAX)
    {
        return detail::text([&](cxsink_buffer **out, cxsink_error **err) {
            return cxsink_dead_letters_purge(get(), which, before, out, err);
        });
    }

    cxsink_dead_letters *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<cxsink_dead_letters, cxsink_dead_letters_free> handle_;
};

/** Validates events against the schema, and against the columns of the table if it is made by for_table(). */
class Validator {
public:
    explicit Validator(const Config &config)
        : Validator(detail::made<cxsink_validator>(
              [&](cxsink_validator **out, cxsink_error **err) { return cxsink_validator_new(config.get(), out, err); }))
    {
    }

    /** Connects to the destination once, and writes nothing. */
    static Validator for_table(const Config &config)
    {
        return Validator(detail::made<cxsink_validator>([&](cxsink_validator **out, cxsink_error **err) {
            return cxsink_validator_for_table(config.get(), out, err);
        }));
    }

    /** Throws if the event is not valid. */
    void validate(std::string_view json) const
    {
        const char *data = json.data() ? json.data() : "";
        detail::checked([&](cxsink_error **err) { return cxsink_validator_validate(get(), data, json.size(), err); });
    }

    cxsink_validator *get() const noexcept { return handle_.get(); }

private:
    explicit Validator(cxsink_validator *handle) : handle_(handle) {}

    detail::Handle<cxsink_validator, cxsink_validator_free> handle_;
};

/** Throws if the event is not valid. For many events, use a Validator, which compiles the schema only once. */
inline void validate(const Config &config, std::string_view json)
{
    const char *data = json.data() ? json.data() : "";
    detail::checked([&](cxsink_error **err) { return cxsink_validate(config.get(), data, json.size(), err); });
}

/** Creates the tables if they do not exist. */
inline void init_db(const Config &config)
{
    detail::checked([&](cxsink_error **err) { return cxsink_init_db(config.get(), err); });
}

/** Makes a copy of a spool file, whose checkpoint another sink owns, a spool of its own. */
inline void renew_spool(const Config &config)
{
    detail::checked([&](cxsink_error **err) { return cxsink_renew_spool(config.get(), err); });
}

/** The result of a check of a deployment. */
struct CheckReport {
    /** Whether no step failed. */
    bool is_ok;
    /** Everything as a JSON object. */
    std::string json;
};

/** Tries a deployment step by step, for real; areas is a sum of cxsink_check_flag. */
inline CheckReport check(const Config &config, std::uint32_t areas = CXSINK_CHECK_FLAG_ALL)
{
    CheckReport report{false, {}};
    report.json = detail::text([&](cxsink_buffer **out, cxsink_error **err) {
        return cxsink_check(config.get(), areas, nullptr, nullptr, &report.is_ok, out, err);
    });
    return report;
}

/** The SQL of init_db. */
inline std::string init_db_sql(const Config &config)
{
    return detail::text(
        [&](cxsink_buffer **out, cxsink_error **err) { return cxsink_init_db_sql(config.get(), out, err); });
}

/** The first rows of the table as a JSON object. */
inline std::string peek(const Config &config, std::size_t count)
{
    return detail::text(
        [&](cxsink_buffer **out, cxsink_error **err) { return cxsink_peek(config.get(), count, out, err); });
}

/** The connections to the stream as a JSON array, from the spool file. */
inline std::string connections(const Config &config)
{
    return detail::text(
        [&](cxsink_buffer **out, cxsink_error **err) { return cxsink_connections(config.get(), out, err); });
}

/** The times in which events may have been missed, as a JSON array, from the spool file. */
inline std::string gaps(const Config &config)
{
    return detail::text([&](cxsink_buffer **out, cxsink_error **err) { return cxsink_gaps(config.get(), out, err); });
}

/** Replays dead letters without a sink of the caller; returns the report as a JSON object. */
inline std::string replay(const Config &config, const Selection &selection, Timeout timeout)
{
    return detail::text([&](cxsink_buffer **out, cxsink_error **err) {
        return cxsink_replay(config.get(), selection.data(), selection.count(), timeout.ms(), out, err);
    });
}

/** Replays dead letters like replay, and overwrites rows that later events have written. */
inline std::string replay_forced(const Config &config, const Selection &selection, Timeout timeout)
{
    return detail::text([&](cxsink_buffer **out, cxsink_error **err) {
        return cxsink_replay_forced(config.get(), selection.data(), selection.count(), timeout.ms(), out, err);
    });
}

/** The dead letters that were not replayed, in groups with what would accept them, as a JSON object. */
inline std::string summary(const Config &config, bool shows_values = false)
{
    return detail::text([&](cxsink_buffer **out, cxsink_error **err) {
        return cxsink_dead_letters_summary(config.get(), shows_values, out, err);
    });
}

/** The report that replay would return, without changing anything. */
inline std::string replay_dry_run(const Config &config, const Selection &selection)
{
    return detail::text([&](cxsink_buffer **out, cxsink_error **err) {
        return cxsink_replay_dry_run(config.get(), selection.data(), selection.count(), out, err);
    });
}

} // namespace cxsink

#endif
