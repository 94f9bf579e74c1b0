#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define __aligned(n) __attribute__((aligned(n)))
