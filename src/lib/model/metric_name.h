#pragma once

#include <compare>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/tenant.h"

namespace vm::model {

/// A label of a row on its way in; views into the request.
struct LabelView {
  std::string_view name;
  std::string_view value;
};

/// A label of a series. Keys and values are arbitrary bytes.
struct Tag {
  std::string key;
  std::string value;

  auto operator<=>(const Tag&) const = default;
};

/// All labels of a series. Two series are the same when their marshalled sorted names are equal bytes:
/// vmselect merges by them.
/// Reference: VictoriaMetrics lib/storage/metric_name.go.
struct MetricName {
  Tenant tenant;
  std::string metric_group;
  std::vector<Tag> tags;

  bool operator==(const MetricName&) const = default;

  /// Add a label. An empty key replaces the metric group, `__name__` appends to it.
  void AddTag(std::string_view key, std::string_view value);

  /// Bring the tags into the stored order; of equal keys the last one stays.
  void SortTags();

  /// Tenant, metric group, tags. Requires sorted tags for the stored form.
  void Marshal(ByteBuffer& dst) const;
  /// The same without the tenant (native export).
  void MarshalNoTenant(ByteBuffer& dst) const;

  /// `AccountID=0, ProjectID=0, name{key="value"}` with sorted tags, for log lines.
  std::string ToString() const;

  /// Decode all of `src`. Errors: kCorrupted.
  static Result<MetricName> Unmarshal(ByteView src);
  static Result<MetricName> UnmarshalNoTenant(ByteView src);
  /// The same into `dst`, whose memory is used again; after an error it holds anything.
  static Status UnmarshalTo(ByteView src, MetricName& dst);
  static Status UnmarshalNoTenantTo(ByteView src, MetricName& dst);
  /// Decode the form that vminsert sends. Tags are in arrival order. Errors: kCorrupted.
  static Result<MetricName> UnmarshalRaw(ByteView src);
};

/// Longest label name or value that the raw form can carry.
inline constexpr size_t kMaxRawLabelSize = 65535;

/// Append the form that vminsert sends. Labels without a value are left out, `__name__` becomes the empty
/// name. Requires names and values of at most kMaxRawLabelSize bytes.
void MarshalMetricNameRaw(ByteBuffer& dst, Tenant tenant, std::span<const LabelView> labels);
/// The same to a place of MetricNameRawSize(labels) bytes; returns what follows them.
uint8_t* StoreMetricNameRaw(uint8_t* dst, Tenant tenant, std::span<const LabelView> labels) noexcept;
size_t MetricNameRawSize(std::span<const LabelView> labels) noexcept;

/// Escape 00, 01 and 02 and close with 01, so that byte order of items is order of tags.
void MarshalTagValue(ByteBuffer& dst, std::string_view value);
/// Take such a value off the front of `src`, appending to `dst`. Errors: kCorrupted; `src` stays then.
Status UnmarshalTagValue(ByteView& src, std::string& dst);

}  // namespace vm::model
