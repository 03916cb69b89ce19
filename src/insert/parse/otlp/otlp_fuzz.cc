// Requests of OpenTelemetry, plain and in the envelope of AWS Firehose: samples have a name, their number is bounded.
#include "insert/parse/otlp/otlp.h"

#include <functional>
#include <protozero/pbf_writer.hpp>
#include <vector>

#include "insert/parse/otlp/firehose.h"
#include "lib/bytes/fuzz.h"
#include "lib/http/args.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it
using fuzz::Require;
using protozero::pbf_writer;

namespace {

std::string Message(const std::function<void(pbf_writer&)>& write) {
  std::string out;
  pbf_writer writer(out);
  write(writer);
  return out;
}

std::string Attribute(const std::string& key, const std::string& value) {
  return Message([&](pbf_writer& w) {
    w.add_string(1, key);
    w.add_message(2, value);
  });
}

/// One metric of the kind `tag` with the point `point`, a resource and a scope.
std::string Request(uint32_t tag, const std::string& point) {
  const std::string text = Message([](pbf_writer& v) { v.add_string(1, "v"); });
  const std::string number = Message([](pbf_writer& v) { v.add_int64(3, -7); });
  const std::string list = Message([&](pbf_writer& v) {
    v.add_message(5, Message([&](pbf_writer& items) {
                    items.add_message(1, text);
                    items.add_message(1, Message([](pbf_writer& i) { i.add_double(4, 0.5); }));
                    items.add_message(1, Message([](pbf_writer& i) { i.add_bytes(7, "abc"); }));
                  }));
  });
  const std::string map = Message([&](pbf_writer& v) {
    v.add_message(6, Message([&](pbf_writer& items) { items.add_message(1, Attribute("x", number)); }));
  });
  const std::string metric = Message([&](pbf_writer& w) {
    w.add_string(1, "my.metric");
    w.add_string(2, "help");
    w.add_string(3, "By/s");
    w.add_message(tag, Message([&](pbf_writer& d) {
                    d.add_message(1, point);
                    d.add_bool(3, true);
                  }));
  });
  const std::string scope = Message([&](pbf_writer& w) {
    w.add_message(1, Message([&](pbf_writer& s) {
                    s.add_string(1, "lib");
                    s.add_message(3, Attribute("k", map));
                  }));
    w.add_message(2, metric);
  });
  const std::string resource = Message([&](pbf_writer& w) {
    w.add_message(2, scope);
    w.add_message(1, Message([&](pbf_writer& r) {
                    r.add_message(1, Attribute("r", list));
                    r.add_message(1, Attribute("host.name", text));
                  }));
  });
  return Message([&](pbf_writer& w) { w.add_message(1, resource); });
}

std::string Gauge() {
  return Request(5, Message([](pbf_writer& w) {
                   w.add_fixed64(3, 1'700'000'000'123'456'789);
                   w.add_double(4, 1.5);
                   w.add_message(7, Attribute("a", Message([](pbf_writer& v) { v.add_bool(2, true); })));
                 }));
}

std::string Histogram() {
  return Request(9, Message([](pbf_writer& w) {
                   w.add_fixed64(3, 1'700'000'000'123'456'789);
                   w.add_fixed64(4, 6);
                   w.add_double(5, 1.5);
                   const uint64_t counts[] = {1, 2, 3};
                   const double bounds[] = {0.5, 1e300};
                   w.add_packed_fixed64(6, std::begin(counts), std::end(counts));
                   w.add_packed_double(7, std::begin(bounds), std::end(bounds));
                 }));
}

std::string ExponentialHistogram() {
  return Request(10, Message([](pbf_writer& w) {
                   w.add_fixed64(3, 1'700'000'000'123'456'789);
                   w.add_fixed64(4, 6);
                   w.add_double(5, 1.5);
                   w.add_sint32(6, 2);
                   w.add_fixed64(7, 1);
                   const std::string buckets = Message([](pbf_writer& b) {
                     b.add_sint32(1, -3);
                     const uint64_t counts[] = {1, 0, 300};
                     b.add_packed_uint64(2, std::begin(counts), std::end(counts));
                   });
                   w.add_message(8, buckets);
                   w.add_message(9, buckets);
                   w.add_double(14, 0.25);
                 }));
}

std::string Summary() {
  return Request(11, Message([](pbf_writer& w) {
                   w.add_fixed64(3, 1'700'000'000'123'456'789);
                   w.add_fixed64(4, 6);
                   w.add_double(5, 1.5);
                   w.add_message(6, Message([](pbf_writer& q) {
                                   q.add_double(1, 0.99);
                                   q.add_double(2, 7);
                                 }));
                 }));
}

std::string Firehose() {
  const std::string gauge = Gauge();
  std::string message(1, static_cast<char>(gauge.size() | 128));
  message += static_cast<char>(gauge.size() >> 7);
  return "{\"requestId\":\"x\",\"records\":[{\"data\":\"" + http::EncodeBase64(message + gauge) + "\"},{\"data\":\"\"}]}";
}

class Counter : public OtlpSink {
 public:
  void OnSample(std::span<const model::LabelView> labels, int64_t, double) override {
    Require(!labels.empty() && labels[0].name == "__name__");
    for (const model::LabelView& label : labels) {
      fuzz::Touch(label.name);
      fuzz::Touch(label.value);
    }
    ++samples;
  }
  void OnMetadata(std::string_view name, uint32_t type, std::string_view help, std::string_view unit) override {
    Require(type <= 7);
    for (const std::string_view text : {name, help, unit}) fuzz::Touch(text);
    ++metadata;
  }
  bool ShouldPause() override { return samples % 2 == 0; }
  size_t samples = 0, metadata = 0;
};

}  // namespace

VM_FUZZ_SEEDS("0" + Gauge(), "7" + Histogram(), "0" + ExponentialHistogram(), "7" + Summary(), "8" + Firehose())

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView src(data, size);
  const size_t choice = fuzz::TakeChoice(src, 16);
  OtlpOptions options;
  options.prometheus_naming = (choice & 1) != 0;
  options.prefix_underscores = (choice & 2) == 0;
  options.promote_all_resource_attributes = (choice & 4) == 0;
  options.resource_attributes = {"r"};
  ByteBuffer unpacked;
  if ((choice & 8) != 0) {
    if (!UnpackFirehose(unpacked, AsText(src)).ok()) return 0;
    Require(unpacked.size() < src.size());
    src = unpacked;
  }
  Counter counter;
  Steps steps = ParseOtlp(src, options, counter);
  for (size_t pauses = 0;; ++pauses) {
    const auto has_more = steps.Next();
    if (!has_more.ok() || !has_more.value()) break;
    Require(pauses < counter.samples);
  }
  Require(counter.samples <= 4 * src.size() && counter.metadata <= src.size());
  return 0;
}
