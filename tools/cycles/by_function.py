"""Splits what cortex_m_cycles.c counted by function.

    python tools/cycles/by_function.py ELF counts.txt [IMAGES] [ROWS]

ELF is the program that ran, counts.txt what the plugin wrote with counts=counts.txt,parts=4: firmware-example's laps are,
over and over, what lies between two images, the fit, the Transformer and PSNR. All is divided by IMAGES (1); ROWS (12)
functions are printed. Needs arm-none-eabi-nm (binutils for Arm), and Python alone.
"""

import bisect
import collections
import re
import subprocess
import sys

elf, counts = sys.argv[1:3]
images, rows = (int(n) for n in (sys.argv[3:] + ['1', '12'][len(sys.argv) - 3 :])[:2])

symbols = []
for line in subprocess.check_output(['arm-none-eabi-nm', '-C', '-n', elf], text=True).splitlines():
    address, kind, *name = line.split(None, 2)
    if name and kind in 'tTwW':
        symbols.append((int(address, 16) & ~1, name[0]))
starts = [start for start, _ in symbols]


def function(address):
    name = symbols[bisect.bisect_right(starts, address) - 1][1]
    return re.sub(r'<.*Portable as .*Kernel>::', 'Kernel::', name)


parts = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, 0]))
for line in open(counts):
    part, address, runs, cycles, _ = line.split(' ', 4)
    total = parts[int(part)][function(int(address, 16))]
    total[0] += int(runs)
    total[1] += int(cycles)

for part, name in (1, 'fit'), (2, 'transformer'), (3, 'psnr'):
    functions = parts[part]
    instructions, cycles = (sum(total[i] for total in functions.values()) for i in (0, 1))
    print(f'{name}: {instructions / images / 1e6:.3f} M instructions, {cycles / images / 1e6:.3f} M cycles')
    for key, total in sorted(functions.items(), key=lambda item: -item[1][1])[:rows]:
        print(
            f'  {total[0] / images / 1e6:7.3f} {total[1] / images / 1e6:7.3f} {100 * total[1] / max(cycles, 1):5.1f} %'
            f'  {key[:90]}'
        )
