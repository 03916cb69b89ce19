#include "lib/containers/byte_key_cache.h"
#include "lib/containers/flat_table.h"
#include "lib/containers/generation_set.h"
