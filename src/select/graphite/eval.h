#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/model/search_query.h"
#include "lib/model/time_range.h"
#include "select/graphite/expr.h"
#include "select/graphite/series.h"

namespace vm::select::graphite {

/// Series that an evaluation needs from the storage.
struct Selection {
  std::vector<model::TagFilter> filters;  // AND-ed.
  model::TimeRange range;

  /// The same text means the same series.
  std::string Key() const;
};

/// What has been fetched for the targets of a request, on the grid of the storage step. An evaluation goes on without what it does not
/// find, its result then means nothing: fetch what is missing and evaluate again. So the evaluation neither waits nor asks anybody, and
/// each selection is fetched once. Not thread-safe.
class FetchedSeries {
 public:
  /// Null: not fetched yet, and noted.
  const SeriesList* Find(const Selection& selection);
  void Put(const Selection& selection, SeriesList series) { fetched_[selection.Key()] = std::move(series); }
  /// What was looked for in vain since the last call.
  std::vector<Selection> TakeMissing();

 private:
  std::map<std::string, SeriesList> fetched_;
  std::map<std::string, Selection> missing_;
};

/// The range of an evaluation, which some functions change for their arguments.
struct Window {
  int64_t start = 0;  // Unix milliseconds.
  int64_t end = 0;
  double x_files_factor = 0;
};

struct EvalOptions {
  int64_t storage_step = 10'000;                  // Milliseconds.
  int64_t now_ms = 0;
  size_t max_query_bytes = 16 << 10;              // -search.maxQueryLen
  size_t max_path_bytes = 1024;                   // -search.maxGraphitePathExpressionLen; 0: any.
  uint64_t max_points_per_series = 1'000'000;     // -search.graphiteMaxPointsPerSeries
  /// Charge the memory of the request, until the result is gone; null: none.
  std::function<Result<std::shared_ptr<void>>(uint64_t bytes)> hold;
  /// Whether the time is over or the client gone; null: never.
  std::function<Status()> check;
};

/// Evaluates targets of the render API over fetched series. Not thread-safe.
/// Reference: VictoriaMetrics app/vmselect/graphite/eval.go, transform.go.
class Evaluator {
 public:
  /// `fetched` must outlive the evaluator.
  Evaluator(EvalOptions options, FetchedSeries& fetched) : options_(std::move(options)), fetched_(fetched) {}

  /// Errors: kInvalidInput; kLimitExceeded and kCancelled from the hooks.
  Result<SeriesList> Run(std::string_view target, const Window& window);

  // For functions.
  const EvalOptions& options() const noexcept { return options_; }
  Result<SeriesList> Eval(const Expr& expr, const Window& window);
  /// Series of the storage; `path` goes into names of combined series.
  Result<SeriesList> Fetch(std::vector<model::TagFilter> filters, std::string path, const Window& window);
  /// To be called before values are made: limits them and charges their memory. Errors: kLimitExceeded.
  Status Charge(uint64_t series, uint64_t points);
  std::string CutPath(std::string path) const;
  /// Bring a series onto the grid of `step`, with its own aggregate.
  Status Consolidate(Series& series, const Window& window, int64_t step);

 private:
  const EvalOptions options_;
  FetchedSeries& fetched_;
  std::vector<std::shared_ptr<void>> held_;
  int depth_ = 0;
};

/// A call of a function with its arguments.
class Call {
 public:
  Call(Evaluator& eval_in, const Window& window_in, const Expr& expr_in) : eval(eval_in), window(window_in), expr(expr_in) {}

  Evaluator& eval;
  const Window& window;
  const Expr& expr;

  size_t size() const { return expr.args.size(); }
  /// The argument of that name, else the one at `index`. Errors: kInvalidInput.
  Result<const Expr*> Get(std::string_view name, size_t index) const;
  /// Null: not given.
  const Expr* Find(std::string_view name, size_t index) const;

  Result<double> Number(std::string_view name, size_t index) const;
  Result<double> NumberOr(std::string_view name, size_t index, double otherwise) const;
  Result<std::string> Text(std::string_view name, size_t index) const;
  Result<std::string> TextOr(std::string_view name, size_t index, std::string otherwise) const;
  Result<bool> BoolOr(std::string_view name, size_t index, bool otherwise) const;
  /// A positive interval.
  Result<int64_t> Interval(const std::string& text) const;
  /// Numbers and texts from `first` on.
  Result<std::vector<const Expr*>> Nodes(size_t first) const;

  Result<SeriesList> List(std::string_view name = "seriesList", size_t index = 0) const { return ListOf(window, name, index); }
  Result<SeriesList> ListOf(const Window& other, std::string_view name = "seriesList", size_t index = 0) const;
  /// The step of a list: that of its first series.
  int64_t StepOf(const SeriesList& list) const { return list.empty() ? eval.options().storage_step : list[0].step; }
  /// List, consolidated to `step`.
  Status ConsolidateAll(SeriesList& list, int64_t step) const;
};

using Function = Result<SeriesList> (*)(Call& call);
struct FunctionEntry {
  std::string_view name;
  size_t min_args;
  size_t max_args;
  Function run;  // Null: known to Graphite, but not supported.
};
inline constexpr size_t kAnyArgs = static_cast<size_t>(-1);

/// Null: unknown.
const FunctionEntry* FindFunction(std::string_view name);

}  // namespace vm::select::graphite
