/* The vector table of a Cortex-M and the switch for its FPU; newlib's start does the rest. */
extern void _start(void);
extern char top; /* of the stack */

void reset(void) {
    *(volatile unsigned *)0xE000ED88 |= 0xFu << 20; /* CPACR: CP10 and CP11 */
    _start();
}

__attribute__((section(".vectors"), used)) static void *const vectors[2] = {&top, reset};
