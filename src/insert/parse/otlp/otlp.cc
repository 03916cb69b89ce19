#include "insert/parse/otlp/otlp.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <deque>
#include <protozero/pbf_reader.hpp>
#include <set>
#include <stdexcept>
#include <vector>

#include "insert/parse/otlp/naming.h"
#include "lib/http/args.h"

namespace vm::insert {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

constexpr int kMaxDepth = 32;

// Of model::MetadataRow.
constexpr uint32_t kUnknown = 0, kCounter = 1, kGauge = 2, kHistogram = 3, kSummary = 5, kInfo = 6, kStateset = 7;

// Thrown and caught inside this file only, like the exceptions of protozero itself.
[[noreturn]] void Fail(const std::string& what) { throw std::runtime_error(what); }

void Expect(const pbf_reader& reader, pbf_wire_type type, const char* what) {
  if (reader.wire_type() != type) Fail(std::string("cannot read ") + what);
}

pbf_reader Reader(std::string_view src) { return pbf_reader(src.data(), src.size()); }

std::string_view TakeText(pbf_reader& reader, const char* what) {
  Expect(reader, pbf_wire_type::length_delimited, what);
  const auto view = reader.get_view();
  return std::string_view(view.data(), view.size());
}

double TakeDouble(pbf_reader& reader, const char* what) {
  Expect(reader, pbf_wire_type::fixed64, what);
  return reader.get_double();
}

uint64_t TakeFixed64(pbf_reader& reader, const char* what) {
  Expect(reader, pbf_wire_type::fixed64, what);
  return reader.get_fixed64();
}

uint64_t TakeVarint(pbf_reader& reader, const char* what) {
  Expect(reader, pbf_wire_type::varint, what);
  return reader.get_uint64();
}

/// The text or message in the first field `tag` of `src`; false without one.
bool FindText(std::string_view src, uint32_t tag, std::string_view& text) {
  pbf_reader reader = Reader(src);
  while (reader.next()) {
    if (reader.tag() == tag) {
      text = TakeText(reader, "a field");
      return true;
    }
    reader.skip();
  }
  return false;
}

/// Decimal digits without an exponent, as few as give the value back.
std::string FormatFloat(double value) {
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (std::isnan(value)) return "NaN";
  std::array<char, 1100> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed).ptr;
  return std::string(text.data(), end);
}

std::string FormatBound(double value) {
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{:.3e}", value);
}

void AppendJsonText(std::string& dst, std::string_view text) {
  dst += '"';
  for (const char c : text) {
    switch (c) {
      case '"': dst += "\\\""; break;
      case '\\': dst += "\\\\"; break;
      case '\n': dst += "\\n"; break;
      case '\r': dst += "\\r"; break;
      case '\t': dst += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          dst += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
          dst += c;
        }
    }
  }
  dst += '"';
}

/// An AnyValue as JSON.
void AppendJson(std::string& dst, std::string_view src, int depth) {
  if (depth > kMaxDepth) Fail("too deeply nested attributes");
  pbf_reader reader = Reader(src);
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: AppendJsonText(dst, TakeText(reader, "StringValue")); return;
      case 2: dst += TakeVarint(reader, "BoolValue") != 0 ? "true" : "false"; return;
      case 3: dst += std::to_string(static_cast<int64_t>(TakeVarint(reader, "IntValue"))); return;
      case 4: dst += FormatFloat(TakeDouble(reader, "DoubleValue")); return;
      case 5: {
        pbf_reader items = Reader(TakeText(reader, "ArrayValue"));
        dst += '[';
        bool is_first = true;
        while (items.next()) {
          if (items.tag() != 1) {
            items.skip();
            continue;
          }
          if (!std::exchange(is_first, false)) dst += ',';
          AppendJson(dst, TakeText(items, "Value"), depth + 1);
        }
        dst += ']';
        return;
      }
      case 6: {
        pbf_reader items = Reader(TakeText(reader, "KeyValueList"));
        dst += '{';
        bool is_first = true;
        while (items.next()) {
          if (items.tag() != 1) {
            items.skip();
            continue;
          }
          const std::string_view pair = TakeText(items, "KeyValue");
          std::string_view key, value;
          if (!FindText(pair, 1, key) || !FindText(pair, 2, value)) continue;
          if (!std::exchange(is_first, false)) dst += ',';
          AppendJsonText(dst, key);
          dst += ':';
          AppendJson(dst, value, depth + 1);
        }
        dst += '}';
        return;
      }
      case 7: AppendJsonText(dst, http::EncodeBase64(TakeText(reader, "BytesValue"))); return;
      default: reader.skip();
    }
  }
  dst += "null";
}

struct Buckets {
  int32_t offset = 0;
  std::vector<uint64_t> counts;
};

/// A data point of any kind.
struct Point {
  uint64_t time_ns = 0;
  uint32_t flags = 0;
  double value = 0;
  uint64_t count = 0;
  double sum = 0;
  bool has_sum = false;
  std::vector<uint64_t> bucket_counts;
  std::vector<double> bounds;
  int32_t scale = 0;
  uint64_t zero_count = 0;
  double zero_threshold = 0;
  Buckets positive, negative;
  std::vector<std::pair<double, double>> quantiles;
};

class Decoder {
 public:
  Decoder(const OtlpOptions& options, OtlpSink& sink) : options_(options), sink_(sink) {}

  void TakeRequest(std::string_view src) {
    pbf_reader reader = Reader(src);
    while (reader.next()) {
      if (reader.tag() == 1) {
        TakeResource(TakeText(reader, "ResourceMetrics"));
      } else {
        reader.skip();
      }
    }
  }

 private:
  /// Attributes added in a scope are taken back at its end.
  class Scope {
   public:
    explicit Scope(Decoder& decoder)
        : decoder_(decoder), labels_(decoder.labels_.size()), texts_(decoder.texts_.size()) {}
    ~Scope() {
      decoder_.labels_.resize(labels_);
      while (decoder_.texts_.size() > texts_) decoder_.texts_.pop_back();
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Decoder& decoder_;
    const size_t labels_;
    const size_t texts_;
  };

  std::string_view Own(std::string text) { return texts_.emplace_back(std::move(text)); }

  void TakeResource(std::string_view src) {
    const Scope scope(*this);
    if (std::string_view resource; FindText(src, 1, resource)) {
      pbf_reader reader = Reader(resource);
      while (reader.next()) {
        if (reader.tag() != 1) {
          reader.skip();
          continue;
        }
        const std::string_view pair = TakeText(reader, "Attributes");
        std::string_view key;
        if (!FindText(pair, 1, key)) continue;
        const bool is_listed = options_.resource_attributes.contains(key);
        if (is_listed == options_.promote_all_resource_attributes) continue;
        AddKeyValue(pair, "", 0);
      }
    }
    pbf_reader reader = Reader(src);
    while (reader.next()) {
      if (reader.tag() == 2) {
        TakeScope(TakeText(reader, "ScopeMetrics"));
      } else {
        reader.skip();
      }
    }
  }

  void TakeScope(std::string_view src) {
    const Scope scope(*this);
    if (std::string_view about; options_.promote_scope && FindText(src, 1, about)) {
      std::string_view name = "unknown", version = "unknown";
      FindText(about, 1, name);
      FindText(about, 2, version);
      labels_.push_back({"scope.name", name});
      labels_.push_back({"scope.version", version});
      pbf_reader reader = Reader(about);
      while (reader.next()) {
        if (reader.tag() == 3) {
          AddKeyValue(TakeText(reader, "Attributes"), "scope.attributes", 0);
        } else {
          reader.skip();
        }
      }
    }
    pbf_reader reader = Reader(src);
    while (reader.next()) {
      if (reader.tag() == 2) {
        TakeMetric(TakeText(reader, "Metric"));
      } else {
        reader.skip();
      }
    }
  }

  void AddKeyValue(std::string_view src, std::string_view prefix, int depth) {
    std::string_view key, value;
    if (!FindText(src, 1, key) || !FindText(src, 2, value)) return;
    if (!prefix.empty()) key = Own(std::string(prefix).append(".").append(key));
    AddAnyValue(value, key, depth);
  }

  void AddAnyValue(std::string_view src, std::string_view key, int depth) {
    if (depth > kMaxDepth) Fail("too deeply nested attributes");
    pbf_reader reader = Reader(src);
    while (reader.next()) {
      switch (reader.tag()) {
        case 1: labels_.push_back({key, TakeText(reader, "StringValue")}); break;
        case 2: labels_.push_back({key, TakeVarint(reader, "BoolValue") != 0 ? "true" : "false"}); break;
        case 3:
          labels_.push_back({key, Own(std::to_string(static_cast<int64_t>(TakeVarint(reader, "IntValue"))))});
          break;
        case 4: labels_.push_back({key, Own(FormatFloat(TakeDouble(reader, "DoubleValue")))}); break;
        case 5: {
          TakeText(reader, "ArrayValue");
          std::string json;
          AppendJson(json, src, depth);
          labels_.push_back({key, Own(std::move(json))});
          break;
        }
        case 6: {
          pbf_reader items = Reader(TakeText(reader, "KeyValueList"));
          while (items.next()) {
            if (items.tag() == 1) {
              AddKeyValue(TakeText(items, "KeyValue"), key, depth + 1);
            } else {
              items.skip();
            }
          }
          break;
        }
        case 7: labels_.push_back({key, Own(http::EncodeBase64(TakeText(reader, "BytesValue")))}); break;
        default: reader.skip();
      }
    }
  }

  void TakeMetric(std::string_view src) {
    const Scope scope(*this);
    if (!FindText(src, 1, name_)) Fail("missing metric name");
    unit_ = {};
    FindText(src, 3, unit_);
    std::string_view help;
    FindText(src, 2, help);
    type_ = kUnknown;
    std::string_view prometheus_type;
    pbf_reader reader = Reader(src);
    while (reader.next()) {
      switch (reader.tag()) {
        case 5: TakePoints(TakeText(reader, "Gauge"), kGauge, &Decoder::TakeNumber); break;
        case 7: {
          const std::string_view sum = TakeText(reader, "Sum");
          TakePoints(sum, IsMonotonic(sum) ? kCounter : kGauge, &Decoder::TakeNumber);
          break;
        }
        case 9: TakePoints(TakeText(reader, "Histogram"), kHistogram, &Decoder::TakeHistogram); break;
        case 10:
          TakePoints(TakeText(reader, "ExponentialHistogram"), kHistogram, &Decoder::TakeExponentialHistogram);
          break;
        case 11: TakePoints(TakeText(reader, "Summary"), kSummary, &Decoder::TakeSummary); break;
        case 12: {
          const std::string_view pair = TakeText(reader, "metadata");
          std::string_view key, value;
          if (FindText(pair, 1, key) && key == "prometheus.type" && FindText(pair, 2, value)) {
            FindText(value, 1, prometheus_type);
          }
          break;
        }
        default: reader.skip();
      }
    }
    uint32_t type = type_;
    if (prometheus_type == "unknown") type = kUnknown;
    if (prometheus_type == "info") type = kInfo;
    if (prometheus_type == "stateset") type = kStateset;
    std::string name = MetricName(type);
    if (described_.contains(name)) return;
    sink_.OnMetadata(name, type, help, unit_);
    described_.insert(std::move(name));
  }

  std::string MetricName(uint32_t type) const {
    if (options_.prometheus_naming || options_.prometheus_metric_names) return PrometheusMetricName(name_, unit_, type);
    return std::string(name_);
  }

  static bool IsMonotonic(std::string_view sum) {
    pbf_reader reader = Reader(sum);
    while (reader.next()) {
      if (reader.tag() == 3) return TakeVarint(reader, "isMonotonic") != 0;
      reader.skip();
    }
    return false;
  }

  void TakePoints(std::string_view src, uint32_t type, void (Decoder::*take)(std::string_view)) {
    type_ = type;
    metric_name_ = MetricName(type);
    pbf_reader reader = Reader(src);
    while (reader.next()) {
      if (reader.tag() != 1) {
        reader.skip();
        continue;
      }
      const Scope scope(*this);
      (this->*take)(TakeText(reader, "DataPoint"));
    }
  }

  void TakeNumber(std::string_view src) {
    Point point;
    pbf_reader reader = Reader(src);
    while (reader.next()) {
      switch (reader.tag()) {
        case 3: point.time_ns = TakeFixed64(reader, "TimeUnixNano"); break;
        case 4: point.value = TakeDouble(reader, "DoubleValue"); break;
        case 6: point.value = static_cast<double>(static_cast<int64_t>(TakeFixed64(reader, "IntValue"))); break;
        case 7: AddKeyValue(TakeText(reader, "Attributes"), "", 0); break;
        case 8: point.flags = static_cast<uint32_t>(TakeVarint(reader, "Flags")); break;
        default: reader.skip();
      }
    }
    Emit("", point, point.value);
  }

  void TakeHistogram(std::string_view src) {
    Point point;
    pbf_reader reader = Reader(src);
    while (reader.next()) {
      switch (reader.tag()) {
        case 3: point.time_ns = TakeFixed64(reader, "TimeUnixNano"); break;
        case 4: point.count = TakeFixed64(reader, "Count"); break;
        case 5:
          point.sum = TakeDouble(reader, "Sum");
          point.has_sum = true;
          break;
        case 6:
          if (reader.wire_type() == pbf_wire_type::fixed64) {
            point.bucket_counts.push_back(reader.get_fixed64());
          } else {
            Expect(reader, pbf_wire_type::length_delimited, "BucketCounts");
            for (const uint64_t count : reader.get_packed_fixed64()) point.bucket_counts.push_back(count);
          }
          break;
        case 7:
          if (reader.wire_type() == pbf_wire_type::fixed64) {
            point.bounds.push_back(reader.get_double());
          } else {
            Expect(reader, pbf_wire_type::length_delimited, "ExplicitBounds");
            for (const double bound : reader.get_packed_double()) point.bounds.push_back(bound);
          }
          break;
        case 9: AddKeyValue(TakeText(reader, "Attributes"), "", 0); break;
        case 10: point.flags = static_cast<uint32_t>(TakeVarint(reader, "Flags")); break;
        default: reader.skip();
      }
    }
    // As in the reference: without buckets, or with a wrong number of them, there is nothing.
    if (point.bucket_counts.empty() || point.bucket_counts.size() != point.bounds.size() + 1) return;
    Emit("_count", point, static_cast<double>(point.count));
    if (point.has_sum) Emit("_sum", point, point.sum);
    uint64_t cumulative = 0;
    for (size_t i = 0; i < point.bucket_counts.size(); ++i) {
      cumulative += point.bucket_counts[i];
      EmitWith("le", i < point.bounds.size() ? FormatFloat(point.bounds[i]) : "+Inf", "_bucket", point,
               static_cast<double>(cumulative));
    }
  }

  static Buckets TakeBuckets(std::string_view src) {
    Buckets buckets;
    pbf_reader reader = Reader(src);
    while (reader.next()) {
      switch (reader.tag()) {
        case 1:
          Expect(reader, pbf_wire_type::varint, "Offset");
          buckets.offset = reader.get_sint32();
          break;
        case 2:
          if (reader.wire_type() == pbf_wire_type::varint) {
            buckets.counts.push_back(reader.get_uint64());
          } else {
            Expect(reader, pbf_wire_type::length_delimited, "BucketCounts");
            for (const uint64_t count : reader.get_packed_uint64()) buckets.counts.push_back(count);
          }
          break;
        default: reader.skip();
      }
    }
    return buckets;
  }

  void TakeExponentialHistogram(std::string_view src) {
    Point point;
    pbf_reader reader = Reader(src);
    while (reader.next()) {
      switch (reader.tag()) {
        case 1: AddKeyValue(TakeText(reader, "Attributes"), "", 0); break;
        case 3: point.time_ns = TakeFixed64(reader, "TimeUnixNano"); break;
        case 4: point.count = TakeFixed64(reader, "Count"); break;
        case 5:
          point.sum = TakeDouble(reader, "Sum");
          point.has_sum = true;
          break;
        case 6:
          Expect(reader, pbf_wire_type::varint, "Scale");
          point.scale = reader.get_sint32();
          break;
        case 7: point.zero_count = TakeFixed64(reader, "ZeroCount"); break;
        case 8: point.positive = TakeBuckets(TakeText(reader, "Positive")); break;
        case 9: point.negative = TakeBuckets(TakeText(reader, "Negative")); break;
        case 10: point.flags = static_cast<uint32_t>(TakeVarint(reader, "Flags")); break;
        case 14: point.zero_threshold = TakeDouble(reader, "ZeroThreshold"); break;
        default: reader.skip();
      }
    }
    Emit("_count", point, static_cast<double>(point.count));
    if (point.has_sum) Emit("_sum", point, point.sum);
    const auto range = [](double from, double to) { return FormatBound(from) + "..." + FormatBound(to); };
    if (point.zero_count > 0) {
      EmitWith("vmrange", range(-point.zero_threshold, point.zero_threshold), "_bucket", point,
               static_cast<double>(point.zero_count));
    }
    const double ratio = std::pow(2, -static_cast<double>(point.scale));
    const double base = std::pow(2, ratio);
    for (const bool is_negative : {false, true}) {
      const Buckets& buckets = is_negative ? point.negative : point.positive;
      const double first = std::pow(2, static_cast<double>(buckets.offset) * ratio);
      for (size_t i = 0; i < buckets.counts.size(); ++i) {
        if (buckets.counts[i] == 0) continue;
        const double lower = first * std::pow(base, static_cast<double>(i));
        const double upper = lower * base;
        EmitWith("vmrange", is_negative ? range(-upper, -lower) : range(lower, upper), "_bucket", point,
                 static_cast<double>(buckets.counts[i]));
      }
    }
  }

  void TakeSummary(std::string_view src) {
    Point point;
    pbf_reader reader = Reader(src);
    while (reader.next()) {
      switch (reader.tag()) {
        case 3: point.time_ns = TakeFixed64(reader, "TimeUnixNano"); break;
        case 4: point.count = TakeFixed64(reader, "Count"); break;
        case 5: point.sum = TakeDouble(reader, "Sum"); break;
        case 6: {
          std::pair<double, double> quantile;
          pbf_reader item = Reader(TakeText(reader, "ValueAtQuantile"));
          while (item.next()) {
            switch (item.tag()) {
              case 1: quantile.first = TakeDouble(item, "Quantile"); break;
              case 2: quantile.second = TakeDouble(item, "Value"); break;
              default: item.skip();
            }
          }
          point.quantiles.push_back(quantile);
          break;
        }
        case 7: AddKeyValue(TakeText(reader, "Attributes"), "", 0); break;
        case 8: point.flags = static_cast<uint32_t>(TakeVarint(reader, "Flags")); break;
        default: reader.skip();
      }
    }
    Emit("_count", point, static_cast<double>(point.count));
    Emit("_sum", point, point.sum);
    for (const auto& [quantile, value] : point.quantiles) EmitWith("quantile", FormatFloat(quantile), "", point, value);
  }

  void EmitWith(std::string_view label, std::string text, std::string_view suffix, const Point& point, double value) {
    labels_.push_back({label, text});
    Emit(suffix, point, value);
    labels_.pop_back();
  }

  void Emit(std::string_view suffix, const Point& point, double value) {
    constexpr uint32_t kNoRecordedValue = 1;
    if ((point.flags & kNoRecordedValue) != 0) value = std::bit_cast<double>(uint64_t{0x7ff0000000000002});
    sample_name_.assign(metric_name_).append(suffix);
    sample_labels_.clear();
    sample_texts_.clear();
    sample_labels_.push_back({"__name__", sample_name_});
    for (model::LabelView label : labels_) {
      if (options_.prometheus_naming) {
        label.name = sample_texts_.emplace_back(PrometheusLabelName(label.name, options_.prefix_underscores));
      }
      sample_labels_.push_back(label);
    }
    sink_.OnSample(sample_labels_, static_cast<int64_t>(point.time_ns / 1'000'000), value);
  }

  const OtlpOptions& options_;
  OtlpSink& sink_;
  std::vector<model::LabelView> labels_;  // Attributes of the scopes that are open.
  std::deque<std::string> texts_;         // Owns those that are no part of the body.
  std::set<std::string> described_;
  std::string_view name_, unit_;
  uint32_t type_ = kUnknown;
  std::string metric_name_;
  std::string sample_name_;
  std::vector<model::LabelView> sample_labels_;
  std::deque<std::string> sample_texts_;
};

}  // namespace

Status ParseOtlp(ByteView body, const OtlpOptions& options, OtlpSink& sink) {
  try {
    Decoder(options, sink).TakeRequest(AsText(body));
  } catch (const std::exception& exception) {
    return Error(ErrorCode::kInvalidInput,
                 fmt::format("cannot unmarshal request from {} bytes: {}", body.size(), exception.what()));
  }
  return Ok();
}

}  // namespace vm::insert
