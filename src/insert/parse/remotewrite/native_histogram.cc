#include "insert/parse/remotewrite/native_histogram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "insert/parse/remotewrite/pbf.h"

namespace vm::insert {

using namespace pbf;  // NOLINT: of this folder alone, for .cc files that name its readers in each line

namespace {

void TakeSint64s(pbf_reader& reader, std::vector<int64_t>& dst, const char* what) {
  if (reader.wire_type() == pbf_wire_type::varint) {
    dst.push_back(reader.get_sint64());
    return;
  }
  Expect(reader, pbf_wire_type::length_delimited, what);
  for (const int64_t value : reader.get_packed_sint64()) dst.push_back(value);
}

void TakeDoubles(pbf_reader& reader, std::vector<double>& dst, const char* what) {
  if (reader.wire_type() == pbf_wire_type::fixed64) {
    dst.push_back(reader.get_double());
    return;
  }
  Expect(reader, pbf_wire_type::length_delimited, what);
  for (const double value : reader.get_packed_double()) dst.push_back(value);
}

std::string FormatBound(double bound) {
  if (std::isinf(bound)) return bound > 0 ? "+Inf" : "-Inf";
  if (std::isnan(bound)) return "NaN";
  return fmt::format("{:.3e}", bound);
}

}  // namespace

void NativeHistogram::Buckets::Clear() {
  spans.clear();
  deltas.clear();
  counts.clear();
}

NativeHistogram::BucketSpan NativeHistogram::TakeSpan(ByteView src) {
  BucketSpan span;
  pbf_reader reader = Reader(src);
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: span.offset = TakeSint32(reader, "span offset"); break;
      case 2: span.length = TakeUint32(reader, "span length"); break;
      default: reader.skip();
    }
  }
  return span;
}

void NativeHistogram::Read(ByteView message, std::string_view name) {
  place_ = Place::kEnd;
  positive_.Clear();
  negative_.Clear();
  count_ = sum_ = zero_threshold_ = zero_count_ = 0;
  timestamp_ = 0;
  int32_t schema = 0;
  uint64_t count_int = 0, zero_count_int = 0;
  bool is_count_float = false, is_zero_count_float = false;
  pbf_reader reader = Reader(message);
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: count_int = TakeVarint(reader, "count_int"); break;
      case 2:
        count_ = TakeDouble(reader, "count_float");
        is_count_float = true;
        break;
      case 3: sum_ = TakeDouble(reader, "sum"); break;
      case 4: schema = TakeSint32(reader, "schema"); break;
      case 5: zero_threshold_ = TakeDouble(reader, "zero_threshold"); break;
      case 6: zero_count_int = TakeVarint(reader, "zero_count_int"); break;
      case 7:
        zero_count_ = TakeDouble(reader, "zero_count_float");
        is_zero_count_float = true;
        break;
      case 8: negative_.spans.push_back(TakeSpan(TakeMessage(reader, "negative_spans"))); break;
      case 9: TakeSint64s(reader, negative_.deltas, "negative_deltas"); break;
      case 10: TakeDoubles(reader, negative_.counts, "negative_counts"); break;
      case 11: positive_.spans.push_back(TakeSpan(TakeMessage(reader, "positive_spans"))); break;
      case 12: TakeSint64s(reader, positive_.deltas, "positive_deltas"); break;
      case 13: TakeDoubles(reader, positive_.counts, "positive_counts"); break;
      case 15: timestamp_ = static_cast<int64_t>(TakeVarint(reader, "timestamp")); break;
      default: reader.skip();
    }
  }
  if (!is_count_float) count_ = static_cast<double>(count_int);
  if (!is_zero_count_float) zero_count_ = static_cast<double>(zero_count_int);
  base_ = std::pow(2, std::pow(2, -static_cast<double>(schema)));
  if (name.empty()) return;
  count_name_.assign(name).append("_count");
  sum_name_.assign(name).append("_sum");
  bucket_name_.assign(name).append("_bucket");
  place_ = Place::kCount;
}

bool NativeHistogram::Next(HistogramRow& row) {
  row.vmrange = {};
  switch (place_) {
    case Place::kCount:
      row.name = count_name_;
      row.value = count_;
      place_ = Place::kSum;
      return true;
    case Place::kSum:
      row.name = sum_name_;
      row.value = sum_;
      place_ = Place::kZero;
      return true;
    case Place::kZero:
      BeginBuckets(Place::kPositive);
      if (!(zero_count_ > 0)) return Next(row);
      range_ = FormatBound(-zero_threshold_) + "..." + FormatBound(zero_threshold_);
      row.name = bucket_name_;
      row.vmrange = range_;
      row.value = zero_count_;
      return true;
    case Place::kPositive:
      if (NextBucket(positive_, row)) return true;
      BeginBuckets(Place::kNegative);
      [[fallthrough]];
    case Place::kNegative:
      if (NextBucket(negative_, row)) return true;
      place_ = Place::kEnd;
      [[fallthrough]];
    case Place::kEnd: return false;
  }
  return false;
}

void NativeHistogram::BeginBuckets(Place place) {
  place_ = place;
  span_ = 0;
  in_span_ = 0;
  bucket_ = 0;
  bucket_index_ = 0;
  running_count_ = 0;
}

bool NativeHistogram::NextBucket(const Buckets& buckets, HistogramRow& row) {
  const size_t buckets_count = buckets.counts.empty() ? buckets.deltas.size() : buckets.counts.size();
  for (; span_ < buckets.spans.size(); ++span_, in_span_ = 0) {
    const BucketSpan& span = buckets.spans[span_];
    if (in_span_ == 0) bucket_index_ += static_cast<uint32_t>(span.offset);
    while (in_span_ < span.length) {
      if (bucket_ >= buckets_count) return false;
      double count = 0;
      if (buckets.counts.empty()) {
        running_count_ += static_cast<uint64_t>(buckets.deltas[bucket_]);
        count = static_cast<double>(static_cast<int64_t>(running_count_));
      } else {
        count = buckets.counts[bucket_];
      }
      ++bucket_;
      ++in_span_;
      const auto index = static_cast<int32_t>(bucket_index_++);
      if (!(count > 0)) continue;
      double upper = std::pow(base_, static_cast<double>(index));
      double lower = upper / base_;
      if (place_ == Place::kNegative) {
        const double positive_upper = upper;
        upper = -lower;
        lower = -positive_upper;
      }
      range_ = FormatBound(lower) + "..." + FormatBound(upper);
      row.name = bucket_name_;
      row.vmrange = range_;
      row.value = count;
      return true;
    }
  }
  return false;
}

void SetHistogramLabels(std::span<const model::LabelView> labels, const HistogramRow& row, std::vector<model::LabelView>& dst) {
  dst.assign(labels.begin(), labels.end());
  const auto name = std::find_if(dst.begin(), dst.end(), [](const model::LabelView& label) { return label.name == "__name__"; });
  if (name != dst.end()) name->value = row.name;
  if (!row.vmrange.empty()) dst.push_back(model::LabelView{"vmrange", row.vmrange});
}

}  // namespace vm::insert
