#pragma once

#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "lib/bytes/bytes.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

/// What fuzz targets share. For them only: it needs libFuzzer.
namespace vm::fuzz {

/// A broken invariant is a finding.
inline void Require(bool condition) {
  if (!condition) std::abort();
}

/// Reads every byte, so that a sanitizer sees a view that points elsewhere.
inline void Touch(std::string_view text) {
  [[maybe_unused]] static volatile uint8_t sink;  // Nothing is optimized away.
  uint8_t sum = 0;
  for (const char c : text) sum = static_cast<uint8_t>(sum ^ static_cast<uint8_t>(c));
  sink = sum;
}

/// Takes a byte that chooses one of `count` things: '0' is the first.
inline size_t TakeChoice(ByteView& src, size_t count) {
  if (src.empty()) return 0;
  const auto number = static_cast<uint8_t>(src.front() - '0');
  src = src.subspan(1);
  return number % count;
}

/// Takes what is in front of the next `end`, and that.
inline std::string_view TakePart(std::string_view& src, char end) {
  const size_t size = src.find(end);
  const std::string_view part = src.substr(0, size);
  src.remove_prefix(size == std::string_view::npos ? src.size() : size + 1);
  return part;
}

/// For LLVMFuzzerCustomMutator: first each of `seeds` as it is, then mutations, and now and then a seed again.
inline size_t MutateFrom(std::span<const std::string> seeds, uint8_t* data, size_t size, size_t max_size,
                         unsigned random) {
  static size_t given = 0;
  const bool is_start = given < seeds.size();
  if (seeds.empty() || (!is_start && random % 256 != 0)) return LLVMFuzzerMutate(data, size, max_size);
  const std::string& seed = seeds[is_start ? given++ : random / 256 % seeds.size()];
  if (seed.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, seed.data(), seed.size());
  return seed.size();
}

}  // namespace vm::fuzz

/// The inputs that a target begins with: std::string values.
#define VM_FUZZ_SEEDS(...)                                                                                          \
  extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned random) {         \
    static const std::vector<std::string> seeds = {__VA_ARGS__};                                                    \
    return vm::fuzz::MutateFrom(seeds, data, size, max_size, random);                                               \
  }
