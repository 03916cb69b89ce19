// Functions that look ahead: Holt-Winters and linear regression.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "select/graphite/functions.h"
#include "select/graphite/time.h"

namespace vm::select::graphite {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

/// What Holt-Winters says of a series, point by point.
struct Forecast {
  std::vector<double> predictions;
  std::vector<double> deviations;
};

/// Triple exponential smoothing with the constants of Graphite.
Forecast HoltWinters(std::span<const double> values, int64_t season) {
  constexpr double kAlpha = 0.1, kBeta = 0.0035, kGamma = 0.1;
  Forecast result;
  std::vector<double> seasonals;
  double intercept = 0, slope = 0, next_prediction = kNaN;
  const auto a_season_ago = [season](const std::vector<double>& of, size_t i) {
    const int64_t at = static_cast<int64_t>(i) - season;
    return at >= 0 && at < static_cast<int64_t>(of.size()) ? of[static_cast<size_t>(at)] : 0;
  };
  for (size_t i = 0; i < values.size(); ++i) {
    const double v = values[i];
    if (std::isnan(v)) {
      result.predictions.push_back(std::exchange(next_prediction, kNaN));
      result.deviations.push_back(0);
      seasonals.push_back(0);
      intercept = slope = 0;
      continue;
    }
    const double last_intercept = i == 0 ? v : intercept;
    const double last_slope = i == 0 ? 0 : slope;
    const double prediction = i == 0 ? v : next_prediction;
    const double last_seasonal = a_season_ago(seasonals, i);
    const double next_seasonal = a_season_ago(seasonals, i + 1);
    intercept = kAlpha * (v - last_seasonal) + (1 - kAlpha) * (last_intercept + last_slope);
    slope = kBeta * (intercept - last_intercept) + (1 - kBeta) * last_slope;
    const double deviation =
        kGamma * std::fabs(v - (std::isnan(prediction) ? 0 : prediction)) + (1 - kGamma) * a_season_ago(result.deviations, i);
    seasonals.push_back(kGamma * (v - intercept) + (1 - kGamma) * last_seasonal);
    next_prediction = intercept + slope + next_seasonal;
    result.predictions.push_back(prediction);
    result.deviations.push_back(deviation);
  }
  return result;
}

/// The list with the time before that Holt-Winters learns from.
struct Learnt {
  SeriesList list;
  int64_t step = 0;
  size_t skipped = 0;  // Points before the window.
  int64_t season = 0;  // Steps.
};
Result<Learnt> Learn(const Call& call, size_t bootstrap_at) {
  VM_ASSIGN_OR_RETURN(const std::string bootstrap_text, call.TextOr("bootstrapInterval", bootstrap_at, "7d"));
  VM_ASSIGN_OR_RETURN(const int64_t bootstrap, ParseInterval(bootstrap_text));
  VM_ASSIGN_OR_RETURN(const std::string season_text, call.TextOr("seasonality", bootstrap_at + 1, "1d"));
  VM_ASSIGN_OR_RETURN(const int64_t season, ParseInterval(season_text));
  if (bootstrap < 0) return Bad(fmt::format("bootstrapInterval must not be negative; got {}ms", bootstrap));
  Window window = call.window;
  window.start -= bootstrap;
  Learnt learnt;
  VM_ASSIGN_OR_RETURN(learnt.list, call.ListOf(window));
  learnt.step = call.StepOf(learnt.list);
  if (learnt.step <= 0) return Bad("the step of the series must be positive");
  learnt.season = season / learnt.step;
  learnt.skipped = PointsCount(window.start, window.end, learnt.step) - PointsCount(call.window.start, call.window.end, learnt.step);
  for (Series& s : learnt.list) VM_TRY(call.eval.Consolidate(s, window, learnt.step));
  return learnt;
}

template <class T>
void DropFront(std::vector<T>& items, size_t count) {
  items.erase(items.begin(), items.begin() + static_cast<ptrdiff_t>(std::min(count, items.size())));
}

Result<SeriesList> ForecastSeries(Call& call) {
  VM_ASSIGN_OR_RETURN(Learnt learnt, Learn(call, 1));
  for (Series& s : learnt.list) {
    s.values = HoltWinters(s.values, learnt.season).predictions;
    DropFront(s.values, learnt.skipped);
    DropFront(s.timestamps, learnt.skipped);
    s.tags["holtWintersForecast"] = "1";
    Rename(s, fmt::format("holtWintersForecast({})", s.name));
    s.tags["name"] = s.name;
  }
  return std::move(learnt.list);
}

/// Two series for each of the list: above and below what is expected.
Result<SeriesList> Bands(const Call& call) {
  VM_ASSIGN_OR_RETURN(const double delta, call.NumberOr("delta", 1, 3));
  VM_ASSIGN_OR_RETURN(Learnt learnt, Learn(call, 2));
  SeriesList bands;
  for (Series& s : learnt.list) {
    Forecast forecast = HoltWinters(s.values, learnt.season);
    DropFront(forecast.predictions, learnt.skipped);
    DropFront(forecast.deviations, learnt.skipped);
    DropFront(s.timestamps, learnt.skipped);
    VM_TRY(call.eval.Charge(2, s.timestamps.size()));
    for (const auto& [name, sign] : {std::pair{"holtWintersConfidenceUpper", 1.0}, std::pair{"holtWintersConfidenceLower", -1.0}}) {
      Series band;
      band.timestamps = s.timestamps;
      for (size_t i = 0; i < forecast.predictions.size(); ++i) {
        band.values.push_back(forecast.predictions[i] + sign * (delta * forecast.deviations[i]));
      }
      Rename(band, fmt::format("{}({})", name, s.name));
      band.tags = {{name, "1"}, {"name", s.name}};
      band.step = learnt.step;
      bands.push_back(std::move(band));
    }
  }
  return bands;
}

Result<SeriesList> ConfidenceBands(Call& call) { return Bands(call); }

Result<SeriesList> ConfidenceArea(Call& call) {
  VM_ASSIGN_OR_RETURN(SeriesList bands, Bands(call));
  if (bands.size() != 2) return Bad(fmt::format("expecting exactly two series; got {}", bands.size()));
  for (Series& s : bands) {
    s.name = fmt::format("areaBetween({})", s.name);
    s.tags["areaBetween"] = "1";
  }
  return bands;
}

Result<SeriesList> Aberration(Call& call) {
  VM_ASSIGN_OR_RETURN(const SeriesList bands, Bands(call));
  std::map<std::string, const Series*> by_name;
  for (const Series& band : bands) by_name[band.name] = &band;
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  VM_TRY(call.ConsolidateAll(list, call.StepOf(list)));
  for (Series& s : list) {
    const auto upper = by_name.find(fmt::format("holtWintersConfidenceUpper({})", s.name));
    const auto lower = by_name.find(fmt::format("holtWintersConfidenceLower({})", s.name));
    if (upper == by_name.end() || lower == by_name.end() || upper->second->values.size() != s.values.size() ||
        lower->second->values.size() != s.values.size()) {
      return Bad("the bands of " + s.name + " have another number of points");
    }
    for (size_t i = 0; i < s.values.size(); ++i) {
      const double v = s.values[i];
      const double above = v - upper->second->values[i];
      const double below = v - lower->second->values[i];
      s.values[i] = above > 0 ? above : below < 0 ? below : 0;
    }
    s.tags["holtWintersAberration"] = "1";
    Rename(s, fmt::format("holtWintersAberration({})", s.name));
  }
  return list;
}

/// A time argument, or `otherwise`.
Result<int64_t> TimeOr(const Call& call, std::string_view name, size_t index, int64_t otherwise) {
  const Expr* arg = call.Find(name, index);
  if (arg != nullptr && arg->is(Expr::Kind::kString)) return ParseTime(arg->text, call.eval.options().now_ms);
  if (arg != nullptr && arg->is(Expr::Kind::kNumber)) {
    const double bound = static_cast<double>(kMaxTimeMs);
    return static_cast<int64_t>(std::clamp(arg->number * 1000, -bound, bound));
  }
  return otherwise;
}

/// The line of least squares through the values of `source`; false when there is none.
bool FitLine(const Series& source, double& factor, double& offset) {
  double sum_i = 0, sum_ii = 0, sum_v = 0, sum_iv = 0;
  for (size_t k = 0; k < source.values.size(); ++k) {
    const double v = source.values[k];
    if (std::isnan(v)) continue;
    const auto i = static_cast<double>(k);
    sum_i += i;
    sum_ii += i * i;
    sum_v += v;
    sum_iv += i * v;
  }
  const auto count = static_cast<double>(source.values.size());
  const double denominator = count * sum_ii - sum_i * sum_i;
  if (denominator == 0) return false;
  factor = (count * sum_iv - sum_i * sum_v) / denominator;
  offset = (sum_ii * sum_v - sum_iv * sum_i) / denominator;
  return true;
}

Result<SeriesList> LinearRegression(Call& call) {
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  VM_TRY(call.ConsolidateAll(list, call.StepOf(list)));
  Window window = call.window;
  SeriesList other;
  const bool has_range = call.Find("startSourceAt", 1) != nullptr || call.Find("endSourceAt", 2) != nullptr;
  if (has_range) {
    VM_ASSIGN_OR_RETURN(window.start, TimeOr(call, "startSourceAt", 1, window.start));
    VM_ASSIGN_OR_RETURN(window.end, TimeOr(call, "endSourceAt", 2, window.end));
    VM_ASSIGN_OR_RETURN(other, call.ListOf(window));
    const int64_t step = call.StepOf(other);
    for (Series& s : other) VM_TRY(call.eval.Consolidate(s, window, step));
    if (other.size() != list.size()) {
      return Bad(fmt::format("the range to learn from must have as many series; got {} vs {}", other.size(), list.size()));
    }
  }
  SeriesList result;
  for (size_t k = 0; k < list.size(); ++k) {
    Series& s = list[k];
    const Series& source = has_range ? other[k] : s;
    double factor = 0, offset = 0;
    const auto step = static_cast<double>(source.step);
    if (step == 0 || !FitLine(source, factor, offset)) continue;
    factor /= step;
    offset -= factor * static_cast<double>(source.timestamps[0]);
    for (size_t i = 0; i < s.values.size(); ++i) {
      s.values[i] = offset + static_cast<double>(s.timestamps[0] + static_cast<int64_t>(i) * s.step) * factor;
    }
    s.tags["linearRegressions"] = fmt::format("{}, {}", window.start / 1000, window.end / 1000);
    s.tags["name"] = s.name;
    Rename(s, fmt::format("linearRegression({}, {}, {})", s.name, window.start / 1000, window.end / 1000));
    result.push_back(std::move(s));
  }
  return result;
}

constexpr FunctionEntry kFunctions[] = {
    {"holtWintersAberration", 1, 4, Aberration},
    {"holtWintersConfidenceArea", 1, 4, ConfidenceArea},
    {"holtWintersConfidenceBands", 1, 4, ConfidenceBands},
    {"holtWintersForecast", 1, 3, ForecastSeries},
    {"linearRegression", 1, 3, LinearRegression},
};

}  // namespace

std::span<const FunctionEntry> ForecastFunctions() { return kFunctions; }

}  // namespace vm::select::graphite
