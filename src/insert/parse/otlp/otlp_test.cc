#include "insert/parse/otlp/otlp.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <protozero/pbf_writer.hpp>

#include "insert/parse/otlp/firehose.h"
#include "insert/parse/otlp/naming.h"
#include "insert/parse/rows/conformance.h"
#include "lib/http/args.h"

namespace vm::insert {
namespace {

using nlohmann::json;
using protozero::pbf_writer;
using Strings = std::vector<std::string>;

TEST(OtlpNamingTest, AgreesWithTheConformanceNames) {
  const auto cases = ConformanceCases("otlp_sanitize_metric_name");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  for (const json& item : cases) {
    SCOPED_TRACE(item.dump());
    const json& input = item["input"];
    EXPECT_EQ(PrometheusMetricName(input["metric_name"].get<std::string>(), input["unit"].get<std::string>(),
                                   input["metric_type"].get<uint32_t>()),
              item["expected"].get<std::string>());
  }
  // The cases do not say which of them ran with -opentelemetry.labelNameUnderscoreSanitization=false.
  for (const json& item : ConformanceCases("otlp_sanitize_label_name")) {
    SCOPED_TRACE(item.dump());
    const std::string input = item["input"], expected = item["expected"];
    if (PrometheusLabelName(input, true) != expected) EXPECT_EQ(PrometheusLabelName(input, false), expected);
  }
  EXPECT_EQ(PrometheusLabelName("_foo", true), "key_foo");
  EXPECT_EQ(PrometheusLabelName("_foo", false), "_foo");
}

class Collector : public OtlpSink {
 public:
  void OnSample(std::span<const model::LabelView> labels, int64_t timestamp, double value) override {
    std::string text;
    for (const model::LabelView& label : labels) text += fmt::format("{}={} ", label.name, label.value);
    samples.push_back(std::bit_cast<uint64_t>(value) == 0x7ff0000000000002 ? fmt::format("{}stale @{}", text, timestamp)
                                                                           : fmt::format("{}{} @{}", text, value, timestamp));
  }
  void OnMetadata(std::string_view name, uint32_t type, std::string_view help, std::string_view unit) override {
    metadata.push_back(fmt::format("{} {} {} {}", name, type, help, unit));
  }
  Strings samples, metadata;
};

std::string Message(const std::function<void(pbf_writer&)>& write) {
  std::string out;
  pbf_writer writer(out);
  write(writer);
  return out;
}

/// All steps at once.
Status ParseWhole(ByteView body, const OtlpOptions& options, OtlpSink& sink) {
  Steps steps = ParseOtlp(body, options, sink);
  for (;;) {
    VM_ASSIGN_OR_RETURN(const bool has_more, steps.Next());
    if (!has_more) return Ok();
  }
}

std::string Attribute(const std::string& key, const std::string& value) {
  return Message([&](pbf_writer& w) {
    w.add_string(1, key);
    w.add_message(2, Message([&](pbf_writer& v) { v.add_string(1, value); }));
  });
}

/// A request with one resource (attribute r), one scope, and one metric of the kind `tag`.
std::string Request(uint32_t tag, const std::string& data, const std::string& unit = "") {
  const std::string metric = Message([&](pbf_writer& w) {
    w.add_string(1, "my.metric");
    w.add_string(2, "help");
    if (!unit.empty()) w.add_string(3, unit);
    w.add_message(tag, data);
  });
  const std::string scope = Message([&](pbf_writer& w) {
    w.add_message(1, Message([&](pbf_writer& s) {
                    s.add_string(1, "lib");
                    s.add_message(3, Attribute("k", "v"));
                  }));
    w.add_message(2, metric);
  });
  const std::string resource = Message([&](pbf_writer& w) {
    w.add_message(2, scope);
    w.add_message(1, Message([&](pbf_writer& r) {
                    r.add_message(1, Attribute("r", "1"));
                    r.add_message(1, Attribute("host.name", "h"));
                  }));
  });
  return Message([&](pbf_writer& w) { w.add_message(1, resource); });
}

constexpr std::string_view kScope = "r=1 host.name=h scope.name=lib scope.version=unknown scope.attributes.k=v";

TEST(OtlpTest, ReadsGaugesAndSums) {
  const std::string point = Message([](pbf_writer& w) {
    w.add_fixed64(3, 1'700'000'000'123'456'789);
    w.add_double(4, 1.5);
    w.add_message(7, Attribute("a", "b"));
    w.add_message(7, Message([](pbf_writer& kv) {
                    kv.add_string(1, "nested");
                    kv.add_message(2, Message([](pbf_writer& v) {
                                     v.add_message(6, Message([](pbf_writer& list) {
                                                     list.add_message(1, Message([](pbf_writer& inner) {
                                                                        inner.add_string(1, "x");
                                                                        inner.add_message(2, Message([](pbf_writer& i) { i.add_int64(3, -7); }));
                                                                      }));
                                                   }));
                                   }));
                  }));
    w.add_message(7, Message([](pbf_writer& kv) {
                    kv.add_string(1, "list");
                    kv.add_message(2, Message([](pbf_writer& v) {
                                     v.add_message(5, Message([](pbf_writer& list) {
                                                     list.add_message(1, Message([](pbf_writer& i) { i.add_string(1, "q\""); }));
                                                     list.add_message(1, Message([](pbf_writer& i) { i.add_bool(2, true); }));
                                                     list.add_message(1, Message([](pbf_writer& i) { i.add_double(4, 0.5); }));
                                                   }));
                                   }));
                  }));
  });
  Collector gauge;
  ASSERT_TRUE(ParseWhole(AsBytes(Request(5, Message([&](pbf_writer& w) { w.add_message(1, point); }))), {}, gauge).ok());
  EXPECT_EQ(gauge.samples, (Strings{fmt::format("__name__=my.metric {} a=b nested.x=-7 list=[\"q\\\"\",true,0.5] 1.5 @1700000000123", kScope)}));
  EXPECT_EQ(gauge.metadata, (Strings{"my.metric 2 help "}));

  const std::string stale = Message([](pbf_writer& w) {
    w.add_sfixed64(6, -3);
    w.add_uint32(8, 1);
  });
  Collector counter;
  OtlpOptions options;
  options.prometheus_naming = true;
  options.promote_scope = false;
  options.resource_attributes = {"r"};
  ASSERT_TRUE(ParseWhole(AsBytes(Request(7, Message([&](pbf_writer& w) {
                                          w.add_message(1, stale);
                                          w.add_bool(3, true);
                                        }), "By/s")), options, counter).ok());
  EXPECT_EQ(counter.samples, (Strings{"__name__=my_metric_bytes_per_second_total host_name=h stale @0"}));
  options.promote_all_resource_attributes = false;
  options.prometheus_naming = false;
  Collector listed;
  ASSERT_TRUE(ParseWhole(AsBytes(Request(7, Message([&](pbf_writer& w) { w.add_message(1, Message([](pbf_writer& p) { p.add_sfixed64(6, -3); })); }))),
                        options, listed).ok());
  EXPECT_EQ(listed.samples, (Strings{"__name__=my.metric r=1 -3 @0"}));
}

TEST(OtlpTest, ReadsHistogramsAndSummaries) {
  OtlpOptions options;
  options.promote_scope = false;
  options.promote_all_resource_attributes = false;
  const auto parse = [&](uint32_t tag, const std::string& point) {
    Collector collector;
    EXPECT_TRUE(ParseWhole(AsBytes(Request(tag, Message([&](pbf_writer& w) { w.add_message(1, point); }))), options, collector).ok());
    return collector.samples;
  };
  const std::vector<uint64_t> counts = {1, 2, 3};
  const std::vector<double> bounds = {0.5, 1e7};
  EXPECT_EQ(parse(9, Message([&](pbf_writer& w) {
                    w.add_fixed64(4, 6);
                    w.add_double(5, 9);
                    w.add_packed_fixed64(6, counts.begin(), counts.end());
                    w.add_packed_double(7, bounds.begin(), bounds.end());
                  })),
            (Strings{"__name__=my.metric_count 6 @0", "__name__=my.metric_sum 9 @0", "__name__=my.metric_bucket le=0.5 1 @0",
                     "__name__=my.metric_bucket le=10000000 3 @0", "__name__=my.metric_bucket le=+Inf 6 @0"}));
  EXPECT_EQ(parse(9, Message([&](pbf_writer& w) { w.add_fixed64(4, 6); })), Strings{});
  const auto buckets = [](int32_t offset, std::vector<uint64_t> values) {
    return Message([&](pbf_writer& w) {
      w.add_sint32(1, offset);
      w.add_packed_uint64(2, values.begin(), values.end());
    });
  };
  EXPECT_EQ(parse(10, Message([&](pbf_writer& w) {
                    w.add_fixed64(4, 10);
                    w.add_sint32(6, 0);
                    w.add_fixed64(7, 2);
                    w.add_message(8, buckets(1, {4, 0, 3}));
                    w.add_message(9, buckets(0, {1}));
                    w.add_double(14, 0.25);
                  })),
            (Strings{"__name__=my.metric_count 10 @0", "__name__=my.metric_bucket vmrange=-2.500e-01...2.500e-01 2 @0",
                     "__name__=my.metric_bucket vmrange=2.000e+00...4.000e+00 4 @0",
                     "__name__=my.metric_bucket vmrange=8.000e+00...1.600e+01 3 @0",
                     "__name__=my.metric_bucket vmrange=-2.000e+00...-1.000e+00 1 @0"}));
  EXPECT_EQ(parse(11, Message([&](pbf_writer& w) {
                    w.add_fixed64(4, 5);
                    w.add_double(5, 7);
                    w.add_message(6, Message([](pbf_writer& q) {
                                    q.add_double(1, 0.9);
                                    q.add_double(2, 3);
                                  }));
                  })),
            (Strings{"__name__=my.metric_count 5 @0", "__name__=my.metric_sum 7 @0", "__name__=my.metric quantile=0.9 3 @0"}));
}

TEST(OtlpTest, RefusesBrokenBodies) {
  const std::string body = Request(5, Message([](pbf_writer& w) { w.add_message(1, Message([](pbf_writer& p) { p.add_double(4, 1); })); }));
  for (size_t size = 1; size < body.size(); ++size) {
    Collector collector;
    EXPECT_FALSE(ParseWhole(AsBytes(body).first(size), {}, collector).ok()) << size;
  }
  std::string deep = Message([](pbf_writer& v) { v.add_string(1, "x"); });
  for (int i = 0; i < 100; ++i) {
    deep = Message([&](pbf_writer& v) { v.add_message(5, Message([&](pbf_writer& list) { list.add_message(1, deep); })); });
  }
  const std::string point = Message([&](pbf_writer& w) {
    w.add_message(7, Message([&](pbf_writer& kv) {
                    kv.add_string(1, "k");
                    kv.add_message(2, deep);
                  }));
  });
  Collector collector;
  EXPECT_FALSE(ParseWhole(AsBytes(Request(5, Message([&](pbf_writer& w) { w.add_message(1, point); }))), {}, collector).ok());
}

TEST(FirehoseTest, JoinsTheMessagesOfAllRecords) {
  ByteBuffer out;
  const std::string body = "{\"requestId\":\"x\",\"records\":[{\"data\":\"" + http::EncodeBase64("\x03" "abc" "\x01" "d") +
                           "\"},{\"data\":\"" + http::EncodeBase64("\x02" "ef") + "\"}]}";
  ASSERT_TRUE(UnpackFirehose(out, body).ok());
  EXPECT_EQ(AsText(out), "abcdef");
  EXPECT_FALSE(UnpackFirehose(out, "{\"records\":[{\"data\":\"" + http::EncodeBase64("\x05" "abc") + "\"}]}").ok());
  EXPECT_FALSE(UnpackFirehose(out, "{\"records\":[{\"data\":\"" + http::EncodeBase64("\xff\xff\xff\xff\xff\xff") + "\"}]}").ok());
  EXPECT_FALSE(UnpackFirehose(out, "{\"records\":[{\"data\":\"*\"}]}").ok());
  EXPECT_FALSE(UnpackFirehose(out, "x").ok());
}

}  // namespace
}  // namespace vm::insert
