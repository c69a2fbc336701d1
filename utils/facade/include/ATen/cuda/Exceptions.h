#pragma once
#include <facade/stream.h>
