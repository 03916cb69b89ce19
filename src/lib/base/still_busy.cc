#include "lib/base/still_busy.h"

#include <utility>

namespace vm {
namespace {

// Not inline: a coroutine that has moved to another thread must not remember the address.
constinit thread_local BusyHook* current_hook = nullptr;

}  // namespace

BusyHook* BusyHook::Set(BusyHook* hook) noexcept { return std::exchange(current_hook, hook); }

void StillBusy() noexcept {
  if (current_hook != nullptr) current_hook->StillBusy();
}

}  // namespace vm
