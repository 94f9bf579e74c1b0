/* As much of Arduino as the example takes, on newlib. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct Port {
  void begin(long) {}
  operator bool() const { return true; }
  void print(const char *text) { fputs(text, stdout); }
  void print(unsigned long number) { printf("%lu", number); }
  void print(double number) { printf("%.2f", number); }
  void println(const char *text) { puts(text); }
  void write(const uint8_t *bytes, size_t length) { fwrite(bytes, 1, length, stdout); }
};
extern Port Serial;

inline unsigned long micros() { return 0; }
/* The end of the first turn. */
inline void delay(int) { exit(0); }
void setup();
void loop();
