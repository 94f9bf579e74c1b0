#include <Arduino.h>

Port Serial;

int main() {
  setup();
  for (;;) loop();
}
