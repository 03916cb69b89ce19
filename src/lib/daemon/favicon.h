#pragma once

#include <string>

namespace vm::daemon {

/// A small icon (ICO, 16 x 16, two colours) for browsers.
const std::string& Favicon();

}  // namespace vm::daemon
