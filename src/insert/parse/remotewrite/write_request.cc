#include "insert/parse/remotewrite/write_request.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <exception>
#include <protozero/pbf_reader.hpp>
#include <stdexcept>

#include "insert/parse/remotewrite/wire.h"

namespace vm::insert {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

// Thrown and caught inside this file only, like the exceptions of protozero itself.
void Expect(const pbf_reader& reader, pbf_wire_type type, const char* what) {
  if (reader.wire_type() != type) throw std::runtime_error(std::string("cannot read ") + what);
}

pbf_reader Reader(ByteView src) {
  return pbf_reader(reinterpret_cast<const char*>(src.data()), src.size());
}

ByteView TakeMessage(pbf_reader& reader, const char* what) {
  Expect(reader, pbf_wire_type::length_delimited, what);
  const auto view = reader.get_view();
  return AsBytes(std::string_view(view.data(), view.size()));
}

std::string_view TakeString(pbf_reader& reader, const char* what) {
  return AsText(TakeMessage(reader, what));
}

double TakeDouble(pbf_reader& reader, const char* what) {
  Expect(reader, pbf_wire_type::fixed64, what);
  return reader.get_double();
}

uint64_t TakeVarint(pbf_reader& reader, const char* what) {
  Expect(reader, pbf_wire_type::varint, what);
  return reader.get_uint64();
}

uint32_t TakeUint32(pbf_reader& reader, const char* what) {
  const uint64_t value = TakeVarint(reader, what);
  if (value > UINT32_MAX) throw std::runtime_error(std::string("cannot read ") + what);
  return static_cast<uint32_t>(value);
}

int32_t TakeSint32(pbf_reader& reader, const char* what) {
  Expect(reader, pbf_wire_type::varint, what);
  return reader.get_sint32();
}

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

model::LabelView TakeLabel(ByteView src) {
  model::LabelView label{};
  pbf_reader reader = Reader(src);
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: label.name = TakeString(reader, "label name"); break;
      case 2: label.value = TakeString(reader, "label value"); break;
      default: reader.skip();
    }
  }
  return label;
}

/// A label as all known senders write it: name, then value. False: read it field by field.
inline bool ReadPlainLabel(const uint8_t* p, const uint8_t* end, model::LabelView& label) {
  size_t length = 0;
  if (p == end || *p++ != wire::kBytesField1 || !wire::ReadShortLength(p, end, length)) return false;
  label.name = AsText(ByteView(p, length));
  p += length;
  if (p == end || *p++ != wire::kBytesField2 || !wire::ReadShortLength(p, end, length)) return false;
  label.value = AsText(ByteView(p, length));
  return p + length == end;
}

RemoteSample TakeSample(ByteView src) {
  RemoteSample sample;
  pbf_reader reader = Reader(src);
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: sample.value = TakeDouble(reader, "sample value"); break;
      case 2: sample.timestamp = static_cast<int64_t>(TakeVarint(reader, "sample timestamp")); break;
      default: reader.skip();
    }
  }
  return sample;
}

RemoteMetadata TakeMetadata(ByteView src) {
  RemoteMetadata item;
  pbf_reader reader = Reader(src);
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: item.type = TakeUint32(reader, "metric type"); break;
      case 2: item.metric_family_name = TakeString(reader, "metric family name"); break;
      case 4: item.help = TakeString(reader, "help"); break;
      case 5: item.unit = TakeString(reader, "unit"); break;
      case 11: item.account_id = TakeUint32(reader, "AccountID"); break;
      case 12: item.project_id = TakeUint32(reader, "ProjectID"); break;
      default: reader.skip();
    }
  }
  return item;
}

struct BucketSpan {
  int32_t offset = 0;
  uint32_t length = 0;
};

BucketSpan TakeSpan(ByteView src) {
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

std::string FormatBound(double bound) {
  if (std::isinf(bound)) return bound > 0 ? "+Inf" : "-Inf";
  if (std::isnan(bound)) return "NaN";
  return fmt::format("{:.3e}", bound);
}

template <class Work>
Status Guarded(ByteView src, Work work) {
  try {
    work();
  } catch (const std::exception& exception) {
    return Error(ErrorCode::kInvalidInput,
                 fmt::format("cannot unmarshal prompb.WriteRequest with size {} bytes: {}", src.size(), exception.what()));
  }
  return Ok();
}

}  // namespace

struct WriteRequest::Histogram {
  size_t first_label = 0;
  size_t labels_count = 0;
  double count = 0;
  double sum = 0;
  double zero_threshold = 0;
  double zero_count = 0;
  int32_t schema = 0;
  int64_t timestamp = 0;
  std::vector<BucketSpan> negative_spans, positive_spans;
  std::vector<int64_t> negative_deltas, positive_deltas;  // Of integer histograms.
  std::vector<double> negative_counts, positive_counts;   // Of float histograms.
  std::string_view bucket_name;
};

void WriteRequest::Clear() {
  series_.clear();
  labels_.clear();
  samples_.clear();
  metadata_.clear();
  texts_.clear();
}

void WriteRequest::DropSeries() {
  series_.clear();
  labels_.clear();
  samples_.clear();
  texts_.clear();
}

void WriteRequest::Trim() {
  constexpr size_t kUsualLabels = 128 << 10;
  if (labels_.capacity() > kUsualLabels || samples_.capacity() > kUsualLabels || metadata_.capacity() > kUsualLabels) {
    *this = WriteRequest();
  } else {
    Clear();
  }
}

Status WriteRequest::Unmarshal(ByteView src, const std::function<bool(ByteView message)>& take) {
  Clear();
  return Guarded(src, [&] {
    pbf_reader reader = Reader(src);
    while (reader.next()) {
      switch (reader.tag()) {
        case 1: {
          const ByteView message = TakeMessage(reader, "timeseries data");
          if (take == nullptr || !take(message)) TakeTimeSeries(message);
          break;
        }
        case 3: metadata_.push_back(TakeMetadata(TakeMessage(reader, "metadata"))); break;
        default: reader.skip();
      }
    }
  });
}

Status WriteRequest::UnmarshalTimeSeries(ByteView src) {
  Clear();
  return Guarded(src, [&] { TakeTimeSeries(src); });
}

void WriteRequest::TakeTimeSeries(ByteView src) {
  RemoteSeries series{.first_label = labels_.size(), .first_sample = samples_.size()};
  std::vector<ByteView> histograms;
  // Labels and samples in the usual form; the reader goes on where another one begins.
  const uint8_t* p = src.data();
  const uint8_t* const end = p + src.size();
  for (const uint8_t* field = p; field != end; p = field) {
    const uint8_t tag = *field++;
    size_t length = 0;
    if ((tag != wire::kBytesField1 && tag != wire::kBytesField2) || !wire::ReadShortLength(field, end, length)) break;
    if (tag == wire::kBytesField1) {
      model::LabelView& label = labels_.emplace_back();
      if (!ReadPlainLabel(field, field + length, label)) {
        labels_.pop_back();
        break;
      }
    } else {
      RemoteSample& sample = samples_.emplace_back();
      if (!wire::ReadPlainSample(field, field + length, sample)) {
        samples_.pop_back();
        break;
      }
    }
    field += length;
  }
  pbf_reader reader = Reader(ByteView(p, end));
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: labels_.push_back(TakeLabel(TakeMessage(reader, "label data"))); break;
      case 2: samples_.push_back(TakeSample(TakeMessage(reader, "sample data"))); break;
      case 4: histograms.push_back(TakeMessage(reader, "native histogram data")); break;
      default: reader.skip();
    }
  }
  series.labels_count = labels_.size() - series.first_label;
  series.samples_count = samples_.size() - series.first_sample;
  if (series.samples_count > 0 && !histograms.empty()) {
    throw std::runtime_error("cannot have both samples and native histograms in the same TimeSeries");
  }
  if (series.samples_count > 0) series_.push_back(series);
  for (const ByteView histogram : histograms) {
    AppendHistogram(histogram, series.first_label, series.labels_count);
  }
}

void WriteRequest::AppendHistogram(ByteView src, size_t first_label, size_t labels_count) {
  Histogram histogram;
  histogram.first_label = first_label;
  histogram.labels_count = labels_count;
  uint64_t count_int = 0, zero_count_int = 0;
  bool is_count_float = false, is_zero_count_float = false;
  pbf_reader reader = Reader(src);
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: count_int = TakeVarint(reader, "count_int"); break;
      case 2:
        histogram.count = TakeDouble(reader, "count_float");
        is_count_float = true;
        break;
      case 3: histogram.sum = TakeDouble(reader, "sum"); break;
      case 4: histogram.schema = TakeSint32(reader, "schema"); break;
      case 5: histogram.zero_threshold = TakeDouble(reader, "zero_threshold"); break;
      case 6: zero_count_int = TakeVarint(reader, "zero_count_int"); break;
      case 7:
        histogram.zero_count = TakeDouble(reader, "zero_count_float");
        is_zero_count_float = true;
        break;
      case 8:
        histogram.negative_spans.push_back(TakeSpan(TakeMessage(reader, "negative_spans")));
        break;
      case 9: TakeSint64s(reader, histogram.negative_deltas, "negative_deltas"); break;
      case 10: TakeDoubles(reader, histogram.negative_counts, "negative_counts"); break;
      case 11:
        histogram.positive_spans.push_back(TakeSpan(TakeMessage(reader, "positive_spans")));
        break;
      case 12: TakeSint64s(reader, histogram.positive_deltas, "positive_deltas"); break;
      case 13: TakeDoubles(reader, histogram.positive_counts, "positive_counts"); break;
      case 15: histogram.timestamp = static_cast<int64_t>(TakeVarint(reader, "timestamp")); break;
      default: reader.skip();
    }
  }
  if (!is_count_float) histogram.count = static_cast<double>(count_int);
  if (!is_zero_count_float) histogram.zero_count = static_cast<double>(zero_count_int);

  std::string_view name;
  for (size_t i = 0; i < labels_count && name.empty(); ++i) {
    if (labels_[first_label + i].name == "__name__") name = labels_[first_label + i].value;
  }
  if (name.empty()) return;
  const auto named = [&](std::string_view suffix) -> std::string_view {
    return texts_.emplace_back(std::string(name).append(suffix));
  };
  AppendHistogramSeries(histogram, named("_count"), {}, histogram.count);
  AppendHistogramSeries(histogram, named("_sum"), {}, histogram.sum);
  histogram.bucket_name = named("_bucket");
  if (histogram.zero_count > 0) {
    const std::string& range = texts_.emplace_back(FormatBound(-histogram.zero_threshold) + "..." +
                                                   FormatBound(histogram.zero_threshold));
    AppendHistogramSeries(histogram, histogram.bucket_name, range, histogram.zero_count);
  }
  const double base = std::pow(2, std::pow(2, -static_cast<double>(histogram.schema)));
  AppendBuckets(histogram, false, base);
  AppendBuckets(histogram, true, base);
}

// Integer histograms give the difference to the previous bucket, float histograms the count itself.
void WriteRequest::AppendBuckets(const Histogram& histogram, bool is_negative, double base) {
  const auto& spans = is_negative ? histogram.negative_spans : histogram.positive_spans;
  const auto& deltas = is_negative ? histogram.negative_deltas : histogram.positive_deltas;
  const auto& counts = is_negative ? histogram.negative_counts : histogram.positive_counts;
  const size_t buckets_count = counts.empty() ? deltas.size() : counts.size();
  size_t next = 0;
  uint32_t bucket_index = 0;  // Wraps like the int32 of the reference.
  uint64_t running_count = 0;
  for (const BucketSpan& span : spans) {
    bucket_index += static_cast<uint32_t>(span.offset);
    for (uint32_t i = 0; i < span.length; ++i, ++bucket_index) {
      if (next >= buckets_count) return;
      double count = 0;
      if (counts.empty()) {
        running_count += static_cast<uint64_t>(deltas[next]);
        count = static_cast<double>(static_cast<int64_t>(running_count));
      } else {
        count = counts[next];
      }
      ++next;
      if (!(count > 0)) continue;
      double upper = std::pow(base, static_cast<double>(static_cast<int32_t>(bucket_index)));
      double lower = upper / base;
      if (is_negative) {
        const double positive_upper = upper;
        upper = -lower;
        lower = -positive_upper;
      }
      const std::string& range =
          texts_.emplace_back(FormatBound(lower) + "..." + FormatBound(upper));
      AppendHistogramSeries(histogram, histogram.bucket_name, range, count);
    }
  }
}

void WriteRequest::AppendHistogramSeries(const Histogram& histogram, std::string_view name,
                                         std::string_view vmrange, double value) {
  RemoteSeries series{.first_label = labels_.size(), .first_sample = samples_.size()};
  bool is_named = false;
  for (size_t i = 0; i < histogram.labels_count; ++i) {
    model::LabelView label = labels_[histogram.first_label + i];
    if (!is_named && label.name == "__name__") {
      label.value = name;
      is_named = true;
    }
    labels_.push_back(label);
  }
  if (!vmrange.empty()) labels_.push_back(model::LabelView{"vmrange", vmrange});
  samples_.push_back(RemoteSample{.value = value, .timestamp = histogram.timestamp});
  series.labels_count = labels_.size() - series.first_label;
  series.samples_count = 1;
  series_.push_back(series);
}

}  // namespace vm::insert
