// What most tests include, as rooms.h is for the rooms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "cmake/pch/rooms.h"
