#include "select/fanout/fanout.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <set>

#include "lib/log/log.h"
#include "lib/model/block.h"
#include "lib/net/run_on.h"
#include "select/fanout/merge.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;
namespace asio = boost::asio;

// The calls of one request. Lives as long as its last call, which may end after the request did.
struct Calls {
  Calls(asio::any_io_executor strand_, rpc::SelectArgs args_, Deadline deadline_)
      : strand(strand_), args(std::move(args_)), deadline(std::move(deadline_)), wake(strand) {
    wake.expires_at(asio::steady_timer::time_point::max());
  }

  const asio::any_io_executor strand;
  const rpc::SelectArgs args;
  const Deadline deadline;
  // Strand only.
  asio::steady_timer wake;
  std::vector<std::pair<size_t, rpc::CallResult>> arrived;  // Node and what it said, in order.
};

awaitable<void> CallNode(std::shared_ptr<Calls> calls, std::shared_ptr<rpc::SelectClient> client,
                         size_t node) {
  auto result = co_await client->Call(calls->args, calls->deadline);
  calls->arrived.emplace_back(node, std::move(result));
  calls->wake.cancel();
}

bool IsFatal(const rpc::CallResult& result) {
  // A node that is too busy, or a lower vmselect that misses nodes, counts as missing.
  return result.outcome == rpc::CallOutcome::kRemoteError &&
         result.reply.error.find("search.maxConcurrentRequests") == std::string::npos &&
         result.reply.error.find("vmselectClusterNative") == std::string::npos;
}

// Adds the texts of all replies to a set, in byte order.
std::vector<std::string> SortedUnion(const std::vector<rpc::SelectReply>& replies, uint32_t limit) {
  std::set<std::string_view> seen;
  for (const auto& reply : replies) {
    for (size_t i = 0; i < reply.size(); ++i) seen.insert(AsText(reply.item(i)));
  }
  std::vector<std::string> result;
  for (const auto text : seen) {
    if (limit > 0 && result.size() == limit) break;
    result.emplace_back(text);
  }
  return result;
}

Result<std::vector<Series>> Unpack(const std::vector<rpc::SelectReply>& replies,
                                   const model::TimeRange& range, const FanoutOptions& options) {
  std::map<std::string_view, std::vector<model::EncodedBlock>> by_name;
  uint64_t samples_count = 0;
  for (const auto& reply : replies) {
    for (size_t i = 0; i < reply.size(); ++i) {
      VM_ASSIGN_OR_RETURN(const auto block, model::UnmarshalMetricBlock(reply.item(i)));
      samples_count += block.block.header.rows_count;
      if (options.max_samples_per_query > 0 && samples_count > options.max_samples_per_query) {
        return Error(ErrorCode::kLimitExceeded,
                     fmt::format("cannot select more than -search.maxSamplesPerQuery={} samples; possible "
                                 "solutions: increase the -search.maxSamplesPerQuery; reduce time range "
                                 "for the query; use more specific label filters in order to select fewer "
                                 "series",
                                 options.max_samples_per_query));
      }
      by_name[AsText(block.metric_name)].push_back(block.block);
    }
  }
  std::vector<Series> result;
  result.reserve(by_name.size());
  model::DecodedBlock decoded;
  for (const auto& [name, blocks] : by_name) {
    std::vector<SortedBlock> sorted;
    uint64_t series_samples = 0;
    for (const auto& block : blocks) {
      VM_TRY(model::DecodeBlock(block, decoded));
      SortedBlock samples;
      model::AppendSamplesInRange(decoded, range, samples.timestamps, samples.values);
      if (samples.timestamps.empty()) continue;
      series_samples += samples.timestamps.size();
      if (options.max_samples_per_series > 0 && series_samples > options.max_samples_per_series) {
        return Error(ErrorCode::kLimitExceeded,
                     fmt::format("cannot process more than {} samples per series; either increase "
                                 "-search.maxSamplesPerSeries or reduce time range for the query",
                                 options.max_samples_per_series));
      }
      sorted.push_back(std::move(samples));
    }
    if (sorted.empty()) continue;
    Series series;
    Append(series.metric_name, name);
    MergeSortBlocks(std::move(sorted), options.dedup_interval_ms, series.timestamps, series.values);
    result.push_back(std::move(series));
  }
  return result;
}

}  // namespace

Fanout::Fanout(net::Runtime& runtime, net::Pool& pool, const rpc::NodeSet& nodes,
               FanoutOptions options)
    : runtime_(runtime), pool_(pool), nodes_(nodes), options_(std::move(options)) {
  for (const auto& node : nodes_.nodes()) {
    clients_.push_back(std::make_shared<rpc::SelectClient>(runtime_, node.addr, options_.client));
  }
}

Fanout::~Fanout() = default;

size_t Fanout::ReplicationFactorOf(const std::string& group) const {
  const auto found = options_.group_replication.find(group);
  const size_t factor = found == options_.group_replication.end() ? options_.replication_factor
                                                                  : found->second;
  return std::max<size_t>(1, factor);
}

awaitable<Result<Fanout::Gathered>> Fanout::Gather(rpc::SelectArgs args, Deadline deadline,
                                                   bool deny_partial) {
  const auto home = co_await asio::this_coro::executor;
  auto calls = std::make_shared<Calls>(runtime_.MakeStrand(), std::move(args), std::move(deadline));
  co_await asio::post(asio::bind_executor(calls->strand, asio::use_awaitable));
  for (size_t i = 0; i < clients_.size(); ++i) {
    asio::co_spawn(calls->strand, CallNode(calls, clients_[i], i), [](std::exception_ptr failure) {
      if (failure) VM_LOG_ERROR("a call to a storage node ended with an exception");
    });
  }

  const bool deny = deny_partial || options_.deny_partial_response;
  Gathered gathered;
  std::map<std::string, size_t> errors;
  std::optional<Error> fatal;
  std::string first_error;
  const auto failed_groups = [&]() {
    size_t count = 0;
    for (const auto& [group, n] : errors) count += n >= ReplicationFactorOf(group) ? 1 : 0;
    return count;
  };
  const size_t copies = std::max<size_t>(1, options_.global_replication_factor);
  for (size_t seen = 0; seen < clients_.size() && !fatal;) {
    if (seen == calls->arrived.size()) {
      // Resumed on the strand, not on the caller's executor: otherwise a call that arrives between the check above
      // and the wait would not be noticed.
      co_await calls->wake.async_wait(
          asio::bind_executor(calls->strand, asio::as_tuple(asio::use_awaitable)));
      continue;
    }
    auto& [node, result] = calls->arrived[seen++];
    if (result.outcome == rpc::CallOutcome::kOk) {
      gathered.replies.push_back(std::move(result.reply));
      continue;
    }
    if (first_error.empty()) first_error = result.message;
    if (IsFatal(result)) {
      // Users are told by the text what to do about it.
      const bool outside = result.reply.error.find("denyQueriesOutsideRetention") != std::string::npos;
      fatal = Error(outside ? ErrorCode::kUnavailable : ErrorCode::kInvalidInput, result.message);
      break;
    }
    ++errors[nodes_.nodes()[node].group];
    if (deny && failed_groups() >= copies) fatal = Error(ErrorCode::kUnavailable, result.message);
  }
  if (!fatal && failed_groups() >= copies) {
    if (deny || gathered.replies.empty()) {
      fatal = Error(ErrorCode::kUnavailable, first_error);
    } else {
      gathered.is_partial = true;
      VM_LOG_WARN("partial response: {} of {} storage nodes answered; first error: {}",
                  gathered.replies.size(), clients_.size(), first_error);
    }
  }
  co_await asio::post(asio::bind_executor(home, asio::use_awaitable));
  if (fatal) co_return std::move(*fatal);
  co_return std::move(gathered);
}

awaitable<Result<Partial<std::vector<Series>>>> Fanout::Search(model::SearchQuery query,
                                                               Deadline deadline,
                                                               bool deny_partial) {
  // Nodes do not store samples before 1970.
  query.time_range.min_timestamp = std::max<int64_t>(0, query.time_range.min_timestamp);
  const model::TimeRange range = query.time_range;
  rpc::SearchRequest request;
  request.query = std::move(query);
  rpc::SelectArgs args(std::move(request));
  auto gathered = co_await Gather(std::move(args), std::move(deadline), deny_partial);
  if (!gathered.ok()) co_return std::move(gathered).error();
  auto unpack = [&]() noexcept { return Unpack(gathered.value().replies, range, options_); };
  auto series = co_await net::RunOn(pool_, unpack);
  if (!series.ok()) co_return std::move(series).error();
  Partial<std::vector<Series>> result;
  result.value = std::move(series).value();
  result.is_partial = gathered.value().is_partial;
  co_return std::move(result);
}

awaitable<Result<Partial<std::vector<ByteBuffer>>>> Fanout::SearchMetricNames(
    model::SearchQuery query, Deadline deadline, bool deny_partial) {
  query.time_range.min_timestamp = std::max<int64_t>(0, query.time_range.min_timestamp);
  rpc::SearchMetricNamesRequest request;
  request.query = std::move(query);
  rpc::SelectArgs args(std::move(request));
  auto gathered = co_await Gather(std::move(args), std::move(deadline), deny_partial);
  if (!gathered.ok()) co_return std::move(gathered).error();
  Partial<std::vector<ByteBuffer>> result;
  for (const auto& name : SortedUnion(gathered.value().replies, 0)) {
    result.value.emplace_back(name.begin(), name.end());
  }
  result.is_partial = gathered.value().is_partial;
  co_return std::move(result);
}

awaitable<Result<Partial<std::vector<std::string>>>> Fanout::LabelNames(model::SearchQuery query,
                                                                        uint32_t limit,
                                                                        Deadline deadline,
                                                                        bool deny_partial) {
  query.time_range.min_timestamp = std::max<int64_t>(0, query.time_range.min_timestamp);
  rpc::LabelNamesRequest request;
  request.query = std::move(query);
  request.max_names = limit;
  rpc::SelectArgs args(std::move(request));
  auto gathered = co_await Gather(std::move(args), std::move(deadline), deny_partial);
  if (!gathered.ok()) co_return std::move(gathered).error();
  Partial<std::vector<std::string>> result;
  result.value = SortedUnion(gathered.value().replies, limit);
  result.is_partial = gathered.value().is_partial;
  co_return std::move(result);
}

awaitable<Result<Partial<std::vector<std::string>>>> Fanout::LabelValues(
    std::string label_name, model::SearchQuery query, uint32_t limit, Deadline deadline,
    bool deny_partial) {
  query.time_range.min_timestamp = std::max<int64_t>(0, query.time_range.min_timestamp);
  rpc::LabelValuesRequest request;
  request.label_name = std::move(label_name);
  request.query = std::move(query);
  request.max_values = limit;
  rpc::SelectArgs args(std::move(request));
  auto gathered = co_await Gather(std::move(args), std::move(deadline), deny_partial);
  if (!gathered.ok()) co_return std::move(gathered).error();
  Partial<std::vector<std::string>> result;
  result.value = SortedUnion(gathered.value().replies, limit);
  result.is_partial = gathered.value().is_partial;
  co_return std::move(result);
}

awaitable<Result<Partial<uint64_t>>> Fanout::SeriesCount(model::Tenant tenant, Deadline deadline,
                                                         bool deny_partial) {
  rpc::SeriesCountRequest request;
  request.tenant = tenant;
  rpc::SelectArgs args(request);
  auto gathered = co_await Gather(std::move(args), std::move(deadline), deny_partial);
  if (!gathered.ok()) co_return std::move(gathered).error();
  Partial<uint64_t> result;
  for (const auto& reply : gathered.value().replies) result.value += reply.number;
  result.is_partial = gathered.value().is_partial;
  co_return std::move(result);
}

awaitable<Result<Partial<std::vector<model::MetadataRow>>>> Fanout::SearchMetadata(
    std::optional<model::Tenant> tenant, uint32_t limit, std::string metric_name, Deadline deadline,
    bool deny_partial) {
  rpc::SearchMetadataRequest request;
  request.tenant = tenant;
  request.limit = limit;
  request.metric_name = std::move(metric_name);
  rpc::SelectArgs args(std::move(request));
  auto gathered = co_await Gather(std::move(args), std::move(deadline), deny_partial);
  if (!gathered.ok()) co_return std::move(gathered).error();
  Partial<std::vector<model::MetadataRow>> result;
  for (const auto& reply : gathered.value().replies) {
    for (size_t i = 0; i < reply.size(); ++i) {
      ByteView rest = reply.item(i);
      auto row = model::TakeMetadataRow(rest);
      if (!row.ok()) co_return std::move(row).error();
      if (!rest.empty()) {
        co_return Error(ErrorCode::kCorrupted, "bytes left after a metadata row");
      }
      result.value.push_back(std::move(row).value());
    }
  }
  result.is_partial = gathered.value().is_partial;
  co_return std::move(result);
}

}  // namespace vm::select
