#pragma once

namespace vm {

/// What a thread is told while it works: see StillBusy.
class BusyHook {
 public:
  virtual ~BusyHook() = default;
  virtual void StillBusy() noexcept = 0;

  /// Make `hook` the one of this thread; null for none. Returns the one before.
  static BusyHook* Set(BusyHook* hook) noexcept;
};

/// To be called now and then, at least once in a few dozen microseconds, by work that may take long: the thread may
/// have another duty, like listening to sockets, that somebody else takes over then. Costs a nanosecond or two, on
/// threads with such a duty a look at the clock. Thread-safe.
void StillBusy() noexcept;

}  // namespace vm
