#include "select/graphite/eval.h"

#include <fmt/format.h>

#include <unordered_map>
#include <utility>

#include "lib/base/still_busy.h"
#include "select/graphite/functions.h"
#include "select/graphite/time.h"

namespace vm::select::graphite {
namespace {

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

std::string_view KindName(const Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::kPath: return "a path";
    case Expr::Kind::kCall: return "a call";
    case Expr::Kind::kString: return "a string";
    case Expr::Kind::kNumber: return "a number";
    case Expr::Kind::kBool: return "a bool";
    case Expr::Kind::kNone: return "None";
  }
  return "";
}

Error WrongKind(std::string_view name, size_t index, std::string_view want, const Expr& expr) {
  return Bad(fmt::format("arg \"{}\" at position {} must be {}; got {}", name, index, want, KindName(expr)));
}

/// What a series takes beside its values.
constexpr uint64_t kSeriesBytes = 512;

class DepthGuard {
 public:
  explicit DepthGuard(int& depth) : depth_(depth) { ++depth_; }
  ~DepthGuard() { --depth_; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

 private:
  int& depth_;
};

}  // namespace

std::string Selection::Key() const {
  std::string key = fmt::format("{} {}", range.min_timestamp, range.max_timestamp);
  for (const model::TagFilter& filter : filters) {
    key += fmt::format(" {}:{}{}{}:{}{}", filter.key.size(), filter.key, filter.is_negative ? '!' : '=', filter.is_regexp ? '~' : '=',
                       filter.value.size(), filter.value);
  }
  return key;
}

const SeriesList* FetchedSeries::Find(const Selection& selection) {
  const std::string key = selection.Key();
  const auto found = fetched_.find(key);
  if (found != fetched_.end()) return &found->second;
  missing_.emplace(key, selection);
  return nullptr;
}

std::vector<Selection> FetchedSeries::TakeMissing() {
  std::vector<Selection> taken;
  for (auto& [key, selection] : missing_) taken.push_back(std::move(selection));
  missing_.clear();
  return taken;
}

const FunctionEntry* FindFunction(std::string_view name) {
  static const auto functions = [] {
    std::unordered_map<std::string_view, const FunctionEntry*> all;
    for (const auto group : {ValueFunctions(), NameFunctions(), CombineFunctions(), FilterFunctions(), TimeFunctions(), MakeFunctions(),
                             ForecastFunctions()}) {
      for (const FunctionEntry& entry : group) all.emplace(entry.name, &entry);
    }
    return all;
  }();
  const auto found = functions.find(name);
  return found == functions.end() ? nullptr : found->second;
}

Status Evaluator::Charge(uint64_t series, uint64_t points) {
  if (points > options_.max_points_per_series) {
    return Error(ErrorCode::kLimitExceeded,
                 fmt::format("too many points per series: {}; either reduce the time range or increase "
                             "-search.graphiteMaxPointsPerSeries={}",
                             points, options_.max_points_per_series));
  }
  if (!options_.hold || series == 0) return Ok();
  VM_ASSIGN_OR_RETURN(auto share, options_.hold(series * (points * (sizeof(int64_t) + sizeof(double)) + kSeriesBytes)));
  held_.push_back(std::move(share));
  return Ok();
}

std::string Evaluator::CutPath(std::string path) const {
  if (options_.max_path_bytes > 0 && path.size() > options_.max_path_bytes) {
    path.resize(options_.max_path_bytes);
    path += "...";
  }
  return path;
}

Status Evaluator::Consolidate(Series& series, const Window& window, int64_t step) {
  StillBusy();
  const size_t points = PointsCount(window.start, window.end, step);
  if (points > series.values.size()) VM_TRY(Charge(1, points));
  const double factor = series.x_files_factor > 0 ? series.x_files_factor : window.x_files_factor;
  series.values = SummarizeValues(series.timestamps, series.values, series.consolidate == nullptr ? Average : series.consolidate,
                                  window.start, window.end, step, factor);
  series.timestamps = GridTimestamps(window.start, window.end, step);
  series.step = step;
  return Ok();
}

Result<SeriesList> Evaluator::Fetch(std::vector<model::TagFilter> filters, std::string path, const Window& window) {
  const uint64_t points = PointsCount(window.start, window.end, options_.storage_step);
  VM_TRY(Charge(0, points));
  const SeriesList* found = fetched_.Find(Selection{std::move(filters), {window.start, window.end}});
  if (found == nullptr) return SeriesList();
  VM_TRY(Charge(found->size(), points));
  path = CutPath(std::move(path));
  SeriesList list = *found;
  const std::vector<int64_t> timestamps = GridTimestamps(window.start, window.end, options_.storage_step);
  for (Series& series : list) {
    StillBusy();
    series.timestamps = timestamps;
    series.path = path;
    series.step = options_.storage_step;
  }
  return list;
}

Result<SeriesList> Evaluator::Run(std::string_view target, const Window& window) {
  if (target.size() > options_.max_query_bytes) {
    return Bad(fmt::format("too long query; got {} bytes; mustn't exceed `-search.maxQueryLen={}` bytes", target.size(),
                           options_.max_query_bytes));
  }
  auto expr = ParseExpr(target);
  if (!expr.ok()) return std::move(expr).error().WithContext(fmt::format("cannot parse \"{}\"", target));
  return Eval(expr.value(), window);
}

Result<SeriesList> Evaluator::Eval(const Expr& expr, const Window& window) {
  const DepthGuard guard(depth_);
  // Also of queries that functions make.
  if (depth_ > 2 * kMaxDepth) return Bad(fmt::format("calls may nest {} deep", 2 * kMaxDepth));
  if (options_.check) VM_TRY(options_.check());
  if (expr.is(Expr::Kind::kPath)) {
    std::vector<model::TagFilter> filters = {{"__graphite__", expr.text, false, false}};
    return Fetch(std::move(filters), expr.ToString(), window);
  }
  if (!expr.is(Expr::Kind::kCall)) return Bad(fmt::format("expecting a path or a call; got {}: {}", KindName(expr), expr.ToString()));
  const FunctionEntry* function = FindFunction(expr.text);
  if (function == nullptr) return Bad(fmt::format("unknown function \"{}\"", expr.text));
  if (function->run == nullptr) return Bad(fmt::format("unsupported function \"{}\"", expr.text));
  const auto fail = [&expr](Error error) { return std::move(error).WithContext("cannot evaluate " + expr.ToString()); };
  if (const size_t count = expr.args.size(); count < function->min_args || count > function->max_args) {
    std::string want = std::to_string(function->min_args);
    if (function->max_args == kAnyArgs) want = "at least " + want;
    else if (function->max_args != function->min_args) want = fmt::format("from {} to {}", want, function->max_args);
    return fail(Bad(fmt::format("unexpected number of args; got {}; want {}", count, want)));
  }
  Call call(*this, window, expr);
  auto result = function->run(call);
  if (!result.ok()) return fail(std::move(result).error());
  return result;
}

const Expr* Call::Find(std::string_view name, size_t index) const {
  for (const Arg& arg : expr.args) {
    if (arg.name == name) return &arg.value;
  }
  return index < expr.args.size() && expr.args[index].name.empty() ? &expr.args[index].value : nullptr;
}

Result<const Expr*> Call::Get(std::string_view name, size_t index) const {
  const Expr* found = Find(name, index);
  if (found != nullptr) return found;
  if (index >= expr.args.size()) return Bad(fmt::format("missing arg \"{}\" at position {}", name, index));
  return Bad(fmt::format("unexpected named arg at position {}: \"{}\"", index, expr.args[index].name));
}

Result<double> Call::Number(std::string_view name, size_t index) const {
  VM_ASSIGN_OR_RETURN(const Expr* found, Get(name, index));
  if (!found->is(Expr::Kind::kNumber)) return WrongKind(name, index, "a number", *found);
  return found->number;
}

Result<double> Call::NumberOr(std::string_view name, size_t index, double otherwise) const {
  const Expr* found = Find(name, index);
  if (found == nullptr || found->is(Expr::Kind::kNone)) return otherwise;
  return Number(name, index);
}

Result<std::string> Call::Text(std::string_view name, size_t index) const {
  VM_ASSIGN_OR_RETURN(const Expr* found, Get(name, index));
  if (!found->is(Expr::Kind::kString)) return WrongKind(name, index, "a string", *found);
  return found->text;
}

Result<std::string> Call::TextOr(std::string_view name, size_t index, std::string otherwise) const {
  const Expr* found = Find(name, index);
  if (found == nullptr || found->is(Expr::Kind::kNone)) return otherwise;
  return Text(name, index);
}

Result<bool> Call::BoolOr(std::string_view name, size_t index, bool otherwise) const {
  const Expr* found = Find(name, index);
  if (found == nullptr || found->is(Expr::Kind::kNone)) return otherwise;
  if (!found->is(Expr::Kind::kBool)) return WrongKind(name, index, "a bool", *found);
  return found->flag;
}

Result<int64_t> Call::Interval(const std::string& text) const {
  VM_ASSIGN_OR_RETURN(const int64_t interval, ParseInterval(text));
  if (interval <= 0) return Bad(fmt::format("interval must be positive; got {}ms", interval));
  return interval;
}

Result<std::vector<const Expr*>> Call::Nodes(size_t first) const {
  std::vector<const Expr*> nodes;
  for (size_t i = first; i < expr.args.size(); ++i) {
    const Expr& node = expr.args[i].value;
    if (!node.is(Expr::Kind::kNumber) && !node.is(Expr::Kind::kString)) {
      return Bad(fmt::format("unexpected arg type for `nodes`; got {}; expecting number or string", KindName(node)));
    }
    nodes.push_back(&node);
  }
  return nodes;
}

Result<SeriesList> Call::ListOf(const Window& other, std::string_view name, size_t index) const {
  VM_ASSIGN_OR_RETURN(const Expr* found, Get(name, index));
  auto list = eval.Eval(*found, other);
  if (!list.ok()) return std::move(list).error().WithContext(fmt::format("cannot evaluate arg \"{}\" at position {}", name, index));
  return list;
}

Status Call::ConsolidateAll(SeriesList& list, int64_t step) const {
  for (Series& series : list) VM_TRY(eval.Consolidate(series, window, step));
  return Ok();
}

}  // namespace vm::select::graphite
