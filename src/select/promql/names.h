#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/metricsql/ast.h"
#include "lib/model/metric_name.h"
#include "select/promql/series.h"

/// Names of series as the evaluator groups, matches and shows them. `__name__` in a list means the metric group.
namespace vm::select {

void RemoveTag(model::MetricName& name, std::string_view key);
/// Keep only the listed tags; drop the listed tags.
void KeepTags(model::MetricName& name, std::span<const std::string> keys);
void DropTags(model::MetricName& name, std::span<const std::string> keys);
/// Set or remove `keys` as the series `src` has them, under `prefix` + key. `*` alone means all tags. `skip` is left out.
void CopyTags(model::MetricName& name, std::span<const std::string> keys, std::string_view prefix, std::span<const std::string> skip,
              const model::MetricName& src);
/// Sort the tags by key. Series from the storage come in its own order, which results are sorted by.
void SortTagsByKey(model::MetricName& name);
/// What an aggregate leaves of the name of a series; its tags are sorted.
void ApplyAggrModifier(model::MetricName& name, const metricsql::ModifierExpr& modifier);

/// Append the NameKey of what ApplyAggrModifier would leave of `name`. `tags` is scratch memory.
void AppendAggrKey(std::string& dst, const model::MetricName& name, const metricsql::ModifierExpr& modifier, std::vector<const model::Tag*>& tags);

/// Append bytes that are equal for equal names only, whatever the order of their tags.
void AppendNameKey(std::string& dst, const model::MetricName& name);
std::string NameKey(const model::MetricName& name);
/// Append `{a="b", c="d"}` with sorted keys.
void AppendTagsText(std::string& dst, const model::MetricName& name);

/// Order of results: metric group, then tags one by one in the order they have, then fewer tags first.
bool NameLess(const model::MetricName& a, const model::MetricName& b);
void SortByName(std::span<TimeSeries> series);

bool IsAllNaN(const TimeSeries& series);
void RemoveEmptySeries(std::vector<TimeSeries>& series);
/// One series without a name: the evaluator has no other scalars.
bool IsScalar(const std::vector<TimeSeries>& series);
/// The text of a string argument: one series without values. `number` is its position in the error, from 1.
Result<std::string> TextArg(const std::vector<TimeSeries>& arg, size_t number);

}  // namespace vm::select
