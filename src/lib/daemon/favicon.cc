#include "lib/daemon/favicon.h"

#include <cstdint>

namespace vm::daemon {
namespace {

void AppendLittleEndian(std::string& dst, uint32_t value, int size) {
  for (int i = 0; i < size; ++i) dst += static_cast<char>(value >> (8 * i));
}

/// Four bars that grow to the right.
std::string MakeIcon() {
  constexpr int kSide = 16;
  constexpr uint32_t kMaskSize = kSide * 4;  // Rows of one bit a pixel are padded to 4 bytes.
  constexpr uint32_t kImageSize = 40 + 8 + 2 * kMaskSize;
  std::string icon;
  for (const uint32_t word : {0u, 1u, 1u}) AppendLittleEndian(icon, word, 2);  // An icon file with one image.
  for (const uint32_t byte : {static_cast<uint32_t>(kSide), static_cast<uint32_t>(kSide), 2u, 0u}) {
    AppendLittleEndian(icon, byte, 1);
  }
  AppendLittleEndian(icon, 1, 2);  // Planes.
  AppendLittleEndian(icon, 1, 2);  // Bits a pixel.
  AppendLittleEndian(icon, kImageSize, 4);
  AppendLittleEndian(icon, 22, 4);  // Where the image begins.

  AppendLittleEndian(icon, 40, 4);  // Size of this header.
  AppendLittleEndian(icon, kSide, 4);
  AppendLittleEndian(icon, 2 * kSide, 4);  // Colours and mask.
  AppendLittleEndian(icon, 1, 2);
  AppendLittleEndian(icon, 1, 2);
  for (int i = 0; i < 6; ++i) AppendLittleEndian(icon, 0, 4);
  AppendLittleEndian(icon, 0x621773, 4);  // Blue, green, red.
  AppendLittleEndian(icon, 0xffffff, 4);
  icon.append(kMaskSize, '\0');
  for (int row = 0; row < kSide; ++row) {  // From the bottom; a set bit is transparent.
    uint32_t bits = 0xffff;
    for (int bar = 0; bar < 4; ++bar) {
      if (row < 4 * (bar + 1)) bits &= ~(0xe000u >> (4 * bar));
    }
    icon += static_cast<char>(bits >> 8);
    icon += static_cast<char>(bits);
    icon.append(2, '\0');
  }
  return icon;
}

}  // namespace

const std::string& Favicon() {
  static const std::string icon = MakeIcon();
  return icon;
}

}  // namespace vm::daemon
