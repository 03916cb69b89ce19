// Blocks as two nodes send them: what unpacks is counted. Its order is the business of the nodes: times of a constant step are not
// checked, as in the reference, and the step may lead backwards.
#include "lib/bytes/fuzz.h"
#include "select/fanout/packed_series.h"
#include "select/fanout/test_blocks.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::select;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

namespace {

/// A node (0 or 1), a size of two bytes, a block; and so on.
std::string Framed(char node, const ByteBuffer& block) {
  return std::string(1, node) + static_cast<char>(block.size() >> 8) + static_cast<char>(block.size()) + std::string(AsText(block));
}

std::string Blocks() {
  const ByteBuffer a = MarshalledName("a", {{"x", "1"}}), b = MarshalledName("b", {});
  return Framed(0, MarshalledBlock(a, {1000, 2000, 3500}, {5, 7, 7})) + Framed(1, MarshalledBlock(a, {1000, 2000, 4000}, {5, 7, 9})) +
         Framed(1, MarshalledBlock(b, {100}, {-3})) + Framed(0, MarshalledBlock(a, {5000, 6000}, {1, 1}));
}

}  // namespace

VM_FUZZ_SEEDS("0" + Blocks(), "1" + Blocks(), "2" + Blocks())

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView src(data, size);
  constexpr int64_t kDedup[] = {0, 1, 1000};
  PackedSeries::Options options;
  options.range = {-1'000'000, 10'000'000};
  options.dedup_interval_ms = kDedup[fuzz::TakeChoice(src, std::size(kDedup))];
  options.max_samples_per_series = 50'000;
  const auto limits = std::make_shared<SearchLimits>();
  limits->max_samples = 100'000;
  const std::shared_ptr<BlockCollector> nodes[] = {std::make_shared<BlockCollector>(limits), std::make_shared<BlockCollector>(limits)};
  while (src.size() >= 3) {
    BlockCollector& node = *nodes[src[0] & 1];
    const size_t block_size = std::min<size_t>(LoadBigEndian<uint16_t>(src.data() + 1), src.size() - 3);
    static_cast<void>(node.Add(src.subspan(3, block_size)).ok());
    src = src.subspan(3 + block_size);
  }
  const PackedSeries series(options, {nodes[0], nodes[1]});
  PackedSeries::Scratch scratch;
  std::vector<int64_t> timestamps;
  std::vector<double> values;
  for (size_t i = 0; i < series.size(); ++i) {
    fuzz::Touch(series.name(i));
    if (!series.Unpack(i, scratch, timestamps, values).ok()) continue;
    Require(timestamps.size() == values.size() && timestamps.size() <= series.rows_count(i));
  }
  return 0;
}
