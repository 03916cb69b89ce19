#include "insert/parse/datadog/sketches.h"

#include <cmath>
#include <exception>
#include <limits>
#include <new>
#include <protozero/pbf_reader.hpp>
#include <protozero/varint.hpp>
#include <stdexcept>
#include <string>

namespace vm::insert {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

// The buckets of DataDog's agent: the value of a key is kGamma^(key - kBias), so that key 1 is about 1e-9.
constexpr double kGamma = 1 + 2.0 / 128;
constexpr int kBias = 1338;
constexpr int32_t kInfiniteKey = (1 << 15) - 1;

/// By squaring, in the order of the reference, so that the same bits come out: std::pow rounds better.
double PowerOfGamma(int exponent) {
  double power = 1;
  double square = kGamma;
  for (int rest = std::abs(exponent); rest != 0; rest >>= 1) {
    if ((rest & 1) != 0) power *= square;
    square *= square;
  }
  return exponent < 0 ? 1 / power : power;
}

double ValueOfKey(int32_t key) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (key <= -kInfiniteKey) return -kInfinity;
  if (key >= kInfiniteKey) return kInfinity;
  if (key == 0) return 0;
  return key < 0 ? -PowerOfGamma(-key - kBias) : PowerOfGamma(key - kBias);
}

// Thrown and caught inside this file only, like the exceptions of protozero itself.
void Expect(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(std::string("cannot read ") + what);
}

std::string_view TakeText(pbf_reader& reader, const char* what) {
  Expect(reader.wire_type() == pbf_wire_type::length_delimited, what);
  const auto view = reader.get_view();
  return {view.data(), view.size()};
}

pbf_reader Reader(std::string_view src) { return pbf_reader(src.data(), src.size()); }

double TakeDouble(pbf_reader& reader, const char* what) {
  Expect(reader.wire_type() == pbf_wire_type::fixed64, what);
  return reader.get_double();
}

int64_t TakeInteger(pbf_reader& reader, const char* what) {
  Expect(reader.wire_type() == pbf_wire_type::varint, what);
  return reader.get_int64();
}

/// One number, or a packed list of them.
template <class Add>
void TakeNumbers(pbf_reader& reader, const char* what, Add add) {
  const auto take = [&](uint64_t number) {
    Expect(number <= std::numeric_limits<uint32_t>::max(), what);
    add(static_cast<uint32_t>(number));
  };
  if (reader.wire_type() == pbf_wire_type::varint) return take(reader.get_uint64());
  const std::string_view packed = TakeText(reader, what);
  const char* at = packed.data();
  while (at != packed.data() + packed.size()) take(protozero::decode_varint(&at, packed.data() + packed.size()));
}

}  // namespace

Status DatadogSketches::Parse(ByteView body) {
  sketches_.clear();
  tags_.clear();
  points_.clear();
  keys_.clear();
  counts_.clear();
  try {
    pbf_reader reader = Reader(AsText(body));
    while (reader.next()) {
      if (reader.tag() == 1) {
        TakeSketch(AsBytes(TakeText(reader, "Sketch data")));
      } else {
        reader.skip();
      }
    }
  } catch (const std::bad_alloc&) {
    throw;  // The body is not to blame.
  } catch (const std::exception& exception) {
    return Error(ErrorCode::kInvalidInput, "cannot unmarshal DataDog Sketches request with size " +
                                               std::to_string(body.size()) + " bytes: " + exception.what());
  }
  return Ok();
}

void DatadogSketches::TakeSketch(ByteView src) {
  DatadogSketch sketch;
  sketch.first_tag = tags_.size();
  sketch.first_point = points_.size();
  pbf_reader reader = Reader(AsText(src));
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: sketch.metric = TakeText(reader, "metric"); break;
      case 2: sketch.host = TakeText(reader, "host"); break;
      case 4: tags_.push_back(TakeText(reader, "tag")); break;
      case 7: TakePoint(AsBytes(TakeText(reader, "Dogsketch data"))); break;
      default: reader.skip();
    }
  }
  sketch.tags_count = tags_.size() - sketch.first_tag;
  sketch.points_count = points_.size() - sketch.first_point;
  sketches_.push_back(sketch);
}

void DatadogSketches::TakePoint(ByteView src) {
  DatadogSketchPoint point;
  point.first_key = keys_.size();
  point.first_count = counts_.size();
  pbf_reader reader = Reader(AsText(src));
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: {
        const int64_t seconds = TakeInteger(reader, "timestamp");
        point.timestamp = static_cast<int64_t>(static_cast<uint64_t>(seconds) * 1000);
        break;
      }
      case 2: point.count = TakeInteger(reader, "count"); break;
      case 3: point.min = TakeDouble(reader, "min"); break;
      case 4: point.max = TakeDouble(reader, "max"); break;
      case 6: point.sum = TakeDouble(reader, "sum"); break;
      case 7: TakeNumbers(reader, "k", [this](uint32_t number) { keys_.push_back(protozero::decode_zigzag32(number)); }); break;
      case 8: TakeNumbers(reader, "n", [this](uint32_t number) { counts_.push_back(number); }); break;
      default: reader.skip();
    }
  }
  point.keys_count = keys_.size() - point.first_key;
  point.counts_count = counts_.size() - point.first_count;
  points_.push_back(point);
}

double DatadogSketches::Quantile(const DatadogSketchPoint& point, double quantile) const {
  if (point.count == 0 || point.keys_count != point.counts_count) return 0;
  // Overflow wraps as it does in the reference.
  const auto last = static_cast<double>(static_cast<int64_t>(static_cast<uint64_t>(point.count) - 1));
  const double rank = std::nearbyint(quantile * last);
  double seen = 0;
  for (size_t i = 0; i < point.counts_count; ++i) {
    const double here = counts_[point.first_count + i];
    seen += here;
    if (seen <= rank) continue;
    const double weight = (seen - rank) / here;
    double low = ValueOfKey(keys_[point.first_key + i]);
    const double high = low * kGamma;
    if (i == 0) low = point.min;
    return low * weight + high * (1 - weight);
  }
  return point.max;
}

}  // namespace vm::insert
