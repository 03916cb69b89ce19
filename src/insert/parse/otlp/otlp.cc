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

/// The messages `tag` in a message one by one.
class Messages {
 public:
  Messages(std::string_view src, uint32_t tag, const char* what) : reader_(Reader(src)), tag_(tag), what_(what) {}
  bool Next(std::string_view& message) {
    while (reader_.next()) {
      if (reader_.tag() == tag_) {
        message = TakeText(reader_, what_);
        return true;
      }
      reader_.skip();
    }
    return false;
  }

 private:
  pbf_reader reader_;
  const uint32_t tag_;
  const char* const what_;
};

/// Holds the state of the place in a request that ParseOtlp has come to.
class Decoder {
 public:
  Decoder(const OtlpOptions& options, OtlpSink& sink) : options_(options), sink_(sink) {}

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

  /// Promote what is said about a resource, and about a scope.
  void BeginResource(std::string_view src) {
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
  }
  void BeginScope(std::string_view src) {
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
  }
  void BeginMetric(std::string_view src) {
    if (!FindText(src, 1, name_)) Fail("missing metric name");
    unit_ = {};
    FindText(src, 3, unit_);
    help_ = {};
    FindText(src, 2, help_);
    type_ = kUnknown;
    prometheus_type_ = {};
  }
  /// What reads a point: one sample at once (true: pause), or many in steps.
  struct TakePoint {
    bool (Decoder::*one)(std::string_view src) = nullptr;
    Steps (Decoder::*many)(std::string_view src) = nullptr;
  };
  /// A field of a metric. `points` holds points then, unless nothing is to read them.
  TakePoint TakeField(pbf_reader& reader, std::string_view& points) {
    switch (reader.tag()) {
      case 5: points = TakeText(reader, "Gauge"); return BeginPoints(kGauge, {&Decoder::TakeNumber});
      case 7:
        points = TakeText(reader, "Sum");
        return BeginPoints(IsMonotonic(points) ? kCounter : kGauge, {&Decoder::TakeNumber});
      case 9: points = TakeText(reader, "Histogram"); return BeginPoints(kHistogram, {nullptr, &Decoder::TakeHistogram});
      case 10:
        points = TakeText(reader, "ExponentialHistogram");
        return BeginPoints(kHistogram, {nullptr, &Decoder::TakeExponentialHistogram});
      case 11: points = TakeText(reader, "Summary"); return BeginPoints(kSummary, {nullptr, &Decoder::TakeSummary});
      case 12: {
        const std::string_view pair = TakeText(reader, "metadata");
        std::string_view key, value;
        if (FindText(pair, 1, key) && key == "prometheus.type" && FindText(pair, 2, value)) {
          FindText(value, 1, prometheus_type_);
        }
        return {};
      }
      default: reader.skip(); return {};
    }
  }
  /// Describe the metric.
  void EndMetric() {
    uint32_t type = type_;
    if (prometheus_type_ == "unknown") type = kUnknown;
    if (prometheus_type_ == "info") type = kInfo;
    if (prometheus_type_ == "stateset") type = kStateset;
    std::string name = MetricName(type);
    if (described_.contains(name)) return;
    sink_.OnMetadata(name, type, help_, unit_);
    described_.insert(std::move(name));
  }

 private:
  std::string_view Own(std::string text) { return texts_.emplace_back(std::move(text)); }

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

  TakePoint BeginPoints(uint32_t type, TakePoint take) {
    type_ = type;
    metric_name_ = MetricName(type);
    return take;
  }

  bool TakeNumber(std::string_view src) {
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
    return Emit("", point, point.value);
  }

  Steps TakeHistogram(std::string_view src) {
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
    if (point.bucket_counts.empty() || point.bucket_counts.size() != point.bounds.size() + 1) co_return Ok();
    if (Emit("_count", point, static_cast<double>(point.count))) co_yield kPause;
    if (point.has_sum && Emit("_sum", point, point.sum)) co_yield kPause;
    uint64_t cumulative = 0;
    for (size_t i = 0; i < point.bucket_counts.size(); ++i) {
      cumulative += point.bucket_counts[i];
      std::string bound = i < point.bounds.size() ? FormatFloat(point.bounds[i]) : "+Inf";
      if (EmitWith("le", std::move(bound), "_bucket", point, static_cast<double>(cumulative))) co_yield kPause;
    }
    co_return Ok();
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

  Steps TakeExponentialHistogram(std::string_view src) {
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
    if (Emit("_count", point, static_cast<double>(point.count))) co_yield kPause;
    if (point.has_sum && Emit("_sum", point, point.sum)) co_yield kPause;
    const auto range = [](double from, double to) { return FormatBound(from) + "..." + FormatBound(to); };
    if (point.zero_count > 0) {
      std::string zeros = range(-point.zero_threshold, point.zero_threshold);
      const auto count = static_cast<double>(point.zero_count);
      if (EmitWith("vmrange", std::move(zeros), "_bucket", point, count)) co_yield kPause;
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
        std::string bounds = is_negative ? range(-upper, -lower) : range(lower, upper);
        const auto count = static_cast<double>(buckets.counts[i]);
        if (EmitWith("vmrange", std::move(bounds), "_bucket", point, count)) co_yield kPause;
      }
    }
    co_return Ok();
  }

  Steps TakeSummary(std::string_view src) {
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
    if (Emit("_count", point, static_cast<double>(point.count))) co_yield kPause;
    if (Emit("_sum", point, point.sum)) co_yield kPause;
    for (const auto& [quantile, value] : point.quantiles) {
      if (EmitWith("quantile", FormatFloat(quantile), "", point, value)) co_yield kPause;
    }
    co_return Ok();
  }

  bool EmitWith(std::string_view label, std::string text, std::string_view suffix, const Point& point, double value) {
    labels_.push_back({label, text});
    const bool should_pause = Emit(suffix, point, value);
    labels_.pop_back();
    return should_pause;
  }

  /// True: the sink wants a pause.
  bool Emit(std::string_view suffix, const Point& point, double value) {
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
    return sink_.ShouldPause();
  }

  const OtlpOptions& options_;
  OtlpSink& sink_;
  std::vector<model::LabelView> labels_;  // Attributes of the scopes that are open.
  std::deque<std::string> texts_;         // Owns those that are no part of the body.
  std::set<std::string> described_;
  std::string_view name_, unit_, help_, prometheus_type_;  // Of the metric.
  uint32_t type_ = kUnknown;
  std::string metric_name_;
  std::string sample_name_;
  std::vector<model::LabelView> sample_labels_;
  std::deque<std::string> sample_texts_;
};

}  // namespace

Steps ParseOtlp(ByteView body, const OtlpOptions& options, OtlpSink& sink) {
  std::string failure;
  try {
    Decoder decoder(options, sink);
    std::string_view resource, scope, metric, points, point;
    Messages resources(AsText(body), 1, "ResourceMetrics");
    while (resources.Next(resource)) {
      const Decoder::Scope of_resource(decoder);
      decoder.BeginResource(resource);
      Messages scopes(resource, 2, "ScopeMetrics");
      while (scopes.Next(scope)) {
        const Decoder::Scope of_scope(decoder);
        decoder.BeginScope(scope);
        Messages metrics(scope, 2, "Metric");
        while (metrics.Next(metric)) {
          decoder.BeginMetric(metric);
          pbf_reader fields = Reader(metric);
          while (fields.next()) {
            const Decoder::TakePoint take = decoder.TakeField(fields, points);
            if (take.one == nullptr && take.many == nullptr) continue;
            Messages all(points, 1, "DataPoint");
            while (all.Next(point)) {
              const Decoder::Scope of_point(decoder);
              if (take.one != nullptr) {
                if ((decoder.*take.one)(point)) co_yield kPause;
                continue;
              }
              Steps steps = (decoder.*take.many)(point);
              for (;;) {
                const Result<bool> has_more = steps.Next();
                if (!has_more.ok()) co_return has_more.error();
                if (!has_more.value()) break;
                co_yield kPause;
              }
            }
          }
          decoder.EndMetric();
        }
      }
    }
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& exception) {
    failure = exception.what();
    if (failure.empty()) failure = "unknown error";
  }
  if (failure.empty()) co_return Ok();
  co_return Error(ErrorCode::kInvalidInput, fmt::format("cannot unmarshal request from {} bytes: {}", body.size(), failure));
}

}  // namespace vm::insert
