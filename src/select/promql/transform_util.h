#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "select/promql/transform.h"

/// What the transform functions share. Not for others.
namespace vm::select::transform {

using SeriesList = std::vector<TimeSeries>;

inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInf = std::numeric_limits<double>::infinity();
inline constexpr std::string_view kNameLabel = "__name__";

struct Entry {
  std::string_view name;
  TransformFunc func;
};
std::span<const Entry> MathFunctions();
std::span<const Entry> LabelFunctions();
std::span<const Entry> RangeFunctions();
std::span<const Entry> HistogramFunctions();
std::span<const Entry> SortFunctions();
std::span<const Entry> TimeFunctions();
std::span<const Entry> RandomFunctions();
std::span<const Entry> SeriesFunctions();

Error Invalid(std::string message);
/// `text` in double quotes, escaped as Go does.
std::string Quoted(std::string_view text);

/// Errors unless the call has `count` arguments.
Status CheckArgsCount(const TransformCall& call, size_t count);
/// Errors when there are fewer: `not enough args; ...`.
Status CheckArgsAtLeast(const TransformCall& call, size_t count);

/// Values of a scalar argument. `number` is the position in error messages, from 1.
Result<std::span<const double>> ScalarArg(const SeriesList& arg, size_t number);
/// First value of a scalar argument; 0 on an empty grid.
Result<double> NumberArg(const SeriesList& arg, size_t number);
/// The same cut to an integer within the range of int64_t.
Result<int64_t> IntArg(const SeriesList& arg, size_t number);

SeriesList OneSeries(TimeSeries series);

/// CheckAlive for loops over series, without a look at the clock for each.
class TimeCheck {
 public:
  explicit TimeCheck(const EvalContext& context) : context_(context) {}

  Status Next() { return count_++ % kEvery == 0 ? CheckAlive(context_) : Ok(); }

 private:
  static constexpr size_t kEvery = 256;

  const EvalContext& context_;
  size_t count_ = 0;
};

/// Value of a label, empty when there is none; `__name__` is the metric group.
std::string_view LabelValue(const model::MetricName& name, std::string_view label);
/// The value of a label, added empty when there is none. Valid until tags are added or removed.
std::string& MutableLabel(model::MetricName& name, std::string_view label);
/// Set a label; an empty value removes it.
void SetLabel(model::MetricName& name, std::string_view label, std::string value);

/// Read a float as Go's strconv.ParseFloat does; nullopt where that is an error.
std::optional<double> ParseGoFloat(std::string_view text);
/// Go's int64(value) and uint64(value) on amd64, where what does not fit has a fixed result too.
int64_t GoInt64(double value);
uint64_t GoUint64(double value);

}  // namespace vm::select::transform
