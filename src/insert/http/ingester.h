#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "insert/http/endpoints.h"
#include "insert/http/ingest.h"
#include "insert/http/options.h"
#include "insert/http/slots.h"
#include "insert/ship/shipper.h"
#include "lib/base/mutex.h"
#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"
#include "lib/relabel/relabel.h"
#include "lib/sys/sys.h"

namespace vm::insert {

/// Where rows go. All must outlive the Ingester and what runs in it.
struct InsertTargets {
  const hash::Rendezvous* placement = nullptr;
  Shipper* samples = nullptr;
  Shipper* metadata = nullptr;
};

/// Reads at most dst.size() bytes; 0 at the end. Called by one coroutine at a time.
using ByteSource = std::function<boost::asio::awaitable<Result<size_t>>(std::span<uint8_t> dst)>;

/// A body that is worked on while it arrives.
struct StreamFormat {
  size_t max_part_bytes = 0;  // Of a part that does not end; see too_long.
  std::string too_long;       // The error then.
  /// How much of `bytes` is whole parts. Runs on the pool.
  std::function<Result<size_t>(ByteView bytes, bool is_end)> whole_size;
  /// Rows of whole parts; `is_first`: they begin the body. Runs on the pool, as the steps do.
  std::function<Steps(ByteView whole, bool is_first, IngestOutput& output)> parse;
  bool is_cheap = false;  // Small plain pieces may be parsed where they were read.
};

/// Lines of at most `max_line_bytes`.
StreamFormat LinesFormat(size_t max_line_bytes,
                         std::function<Steps(std::string_view lines, bool is_first, IngestOutput& output)> parse);

/// A body that is read first.
struct WholeFormat {
  SizeLimit limit;
  bool is_encoded = true;  // Undo the Content-Encoding before parsing; else that is left to `parse`.
  std::function<Steps(ByteView body, IngestOutput& output)> parse;  // Runs on the pool, as the steps do.
  std::function<Error(Error error)> explain;  // Null, or completes an error of `parse`.
  std::function<bool(ByteView body)> is_cheap;  // Null, or says what may be parsed where it was read.
};

/// What all ways in have in common: slots, parsing on the pool, counters, log lines, pushing. Thread-safe. To parse some hundred
/// kilobytes costs little more than to wake a thread of the pool and to be woken by it, so that cheap bodies stay on the thread that
/// read them, but for rows beyond a megabyte. Rows of one body are pushed, and room for them awaited, whenever there are
/// InsertOptions::max_turn_bytes of them; when a later part of the body turns out to be broken, the client learns only that.
class Ingester {
 public:
  Ingester(InsertOptions options, InsertTargets targets, net::Pool& pool, const sys::Clock& clock,
           metrics::Registry& registry);
  ~Ingester();
  Ingester(const Ingester&) = delete;
  Ingester& operator=(const Ingester&) = delete;

  const InsertOptions& options() const { return options_; }
  /// From now on, for requests that begin; null or without rules: none. Thread-safe.
  void SetRelabeling(std::shared_ptr<const relabel::Rules> rules);
  int64_t NowMs() const { return clock_.NowMs(); }

  /// What holds for the rows of `tenant`; none: from the labels of each series.
  IngestContext MakeContext(std::optional<model::Tenant> tenant);

  /// Bring the rows of a body in. `who` begins log lines. `content_encoding` as in the header. Errors: kInvalidInput; kUnavailable without a
  /// slot, without a reader of the rows, or when the client is gone.
  boost::asio::awaitable<Status> InsertStream(ByteSource source, std::string content_encoding, BodyKind kind,
                                              std::string who, StreamFormat format);
  boost::asio::awaitable<Status> InsertWhole(ByteSource source, std::string content_encoding, BodyKind kind,
                                             std::string who, WholeFormat format);
  /// The same for rows that need no reading; `output` tells what they were.
  boost::asio::awaitable<Status> InsertRows(BodyKind kind, std::string who, std::function<Steps(IngestOutput& output)> parse,
                                            IngestOutput& output);

 private:
  struct Protocol;

  /// A body on its way in.
  struct Turns {
    IngestOutput& output;
    Steps steps;
    Result<bool> has_more = false;  // What the last step has said.
    bool is_parse_error = false;    // Whether TakeTurns has ended so.
  };
  /// Push what the step that has been done has brought, and all that follow.
  boost::asio::awaitable<Status> TakeTurns(Protocol& protocol, const std::string& who, Turns& turns);
  boost::asio::awaitable<Status> Push(IngestOutput& output);
  void Count(Protocol& protocol, const std::string& who, const IngestOutput& output);

  const InsertOptions options_;
  const InsertTargets targets_;
  net::Pool& pool_;
  const sys::Clock& clock_;
  metrics::Registry& registry_;
  Slots slots_;
  LimitThrottles throttles_;
  Mutex mutex_;
  std::shared_ptr<const relabel::Rules> relabeling_ VM_GUARDED_BY(mutex_);
  std::map<BodyKind, std::unique_ptr<Protocol>> protocols_;
  metrics::Counter& relabeled_away_;
  metrics::Counter& too_many_labels_;
  metrics::Counter& too_long_label_name_;
  metrics::Counter& too_long_label_value_;
  metrics::Counter& too_long_metadata_;
};

}  // namespace vm::insert
