// Files of time zones, for the queries and for the log. Offsets are within what the file can say.
#include "lib/bytes/fuzz.h"
#include "lib/log/time_zone.h"
#include "select/promql/transform_timezone.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::select;  // NOLINT: one small program, nothing includes it

namespace {

std::string Block(char version, bool has_long_times) {
  ByteBuffer out;
  Append(out, std::string_view("TZif"));
  out.push_back(static_cast<uint8_t>(version));
  out.resize(out.size() + 15);
  for (const uint32_t count : {2u, 2u, 0u, 2u, 2u, 8u}) AppendBigEndian(out, count);
  for (const int64_t time : {-1'693'706'400, 1'585'443'600}) {
    if (has_long_times) {
      AppendBigEndian(out, static_cast<uint64_t>(time));
    } else {
      AppendBigEndian(out, static_cast<uint32_t>(time));
    }
  }
  for (const uint8_t type : {1, 0}) out.push_back(type);
  for (const uint32_t offset : {3600u, 7200u}) {
    AppendBigEndian(out, offset);
    out.push_back(offset == 7200 ? 1 : 0);
    out.push_back(0);
  }
  Append(out, std::string_view("CET\0CST\0", 8));
  out.resize(out.size() + 4);
  return std::string(AsText(out));
}

}  // namespace

VM_FUZZ_SEEDS(Block('\0', false), Block('2', false) + Block('2', true) + "\nCET-1CEST,M3.5.0,M10.5.0/3\n",
              Block('3', false) + Block('3', true) + "\n<-03>3<-02>,J60/-1,300/25:30\n",
              Block('2', false) + Block('2', true) + "\nEST5EDT\n")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kTimes[] = {-9'223'372'036'854'776, -62'135'596'800, -1, 0, 951'782'400, 1'585'443'600, 9'223'372'036'854'775};
  const ByteView src(data, size);
  if (const auto zone = TimeZone::Parse(src); zone.ok()) {
    for (const int64_t time : kTimes) {
      const int64_t offset = zone.value().OffsetAt(time);
      fuzz::Require(offset >= INT32_MIN && offset <= INT32_MAX);
    }
  }
  if (const auto zone = log::TimeZone::Parse(AsText(src)); zone.ok()) {
    for (const int64_t time : kTimes) fuzz::Require(std::abs(zone.value()->OffsetSeconds(time)) <= 7 * 86400);
  }
  return 0;
}
