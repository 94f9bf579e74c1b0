"""Splits the counts of cortex_m4_cycles.c by function, under several models of the Cortex-M4's cycles.

    python tools/cycles/cortex_m4_cycles.py ELF counts.txt IMAGES [ROWS]

ELF is the program that ran, IMAGES how many images it fitted and classified, ROWS how many functions to print (18).
counts.txt must have two marks: phase 1 is taken to be the fit, phase 2 the Transformer; tools/README.md shows how such
a file is made. Models, in cycles per image: A is that of cortex_m4_cycles.c; B counts a load behind a load, and a
store, as one; C and H take 2 and 3 cycles to refill the pipeline; E counts VMLA as 2; F adds a stall where a float
result is used at once; G is B with F. All are modelled, with zero wait states and without interrupts, not measured on
a device.

Needs arm-none-eabi-nm (binutils for Arm), and Python alone.
"""

import sys, subprocess, collections, re, bisect

elf, counts, images = sys.argv[1], sys.argv[2], int(sys.argv[3])
top = int(sys.argv[4]) if len(sys.argv) > 4 else 18
syms = []
for l in subprocess.check_output(['arm-none-eabi-nm', '-C', '-n', elf], text=True).splitlines():
    p = l.split(None, 2)
    if len(p) == 3 and p[1] in 'tTwW':
        syms.append((int(p[0], 16) & ~1, p[2]))
addr = [a for a, _ in syms]


def fn(pc):
    i = bisect.bisect_right(addr, pc) - 1
    n = syms[i][1]
    m = re.search(r'Kernel>::(\w+)', n)
    if m and 'Portable as' in n:
        return 'kernel ' + m.group(1)
    if len(n) > 70:
        n = n[:34] + '…' + n[-34:]
    return n


def words(t):
    m = re.search(r'\{(.*?)\}', t)
    if not m:
        return 1
    n = 0
    k = 'r'
    for it in m.group(1).split(','):
        it = it.strip()
        k = it[0]
        if '-' in it:
            a, b = it.split('-')
            n += int(re.sub(r'\D', '', b)) - int(re.sub(r'\D', '', a)) + 1
        else:
            n += 1
    return 2 * n if k == 'd' else n


def isbranch(m):
    if re.match(r'(cbn?z|bx|blx?)(\.|$)', m):
        return True
    return bool(re.match(r'b(eq|ne|hs|cs|lo|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?(\.w|\.n)?$', m))


def cost(t, n, tk, P=1, vmla=3, ldr=2):
    m = t.split()[0]
    if isbranch(m):
        return n + P * tk
    if m.startswith('tb'):
        return (2 + P) * n
    if re.match(r'v(fm|fnm|mla|mls|nml)', m):
        return vmla * n
    if re.match(r'v(div|sqrt)', m):
        return 14 * n
    if re.match(r'v(ldm|stm|push|pop)', m):
        return (1 + words(t)) * n
    if re.match(r'v(ldr|str)', m):
        return (3 if re.search(r'\sd\d', t) else 2) * n
    if m == 'vmov' and re.search(r'\sd\d', t):
        return 2 * n
    if re.match(r'(ldm|stm|push|pop)', m):
        return (1 + words(t) + (P if 'pc' in t else 0)) * n
    if m.startswith(('ldrd', 'strd')):
        return 3 * n
    if m.startswith(('ldr', 'str')):
        return 2 * n
    if re.match(r'ml[as]', m):
        return 2 * n
    if re.match(r'[su]div', m):
        return 6 * n
    return n


rows = []
for l in open(counts):
    ph, pc, n, tk, size, t = l.rstrip('\n').split(' ', 5)
    rows.append((int(ph), int(pc, 16), int(n), int(tk), int(size), t))
names = {1: 'fit', 2: 'transformer', 3: 'psnr'}
byph = collections.defaultdict(list)
for r in rows:
    byph[r[0]].append(r)


def is_load(t):
    return re.match(r'v?ldr', t) is not None


for ph in (1, 2):
    rs = sorted(byph[ph], key=lambda r: r[1])
    f = collections.defaultdict(lambda: [0, 0, 0, 0])
    tot = [0] * 8
    prev = None
    for r in rs:
        _, pc, n, tk, size, t = r
        a = cost(t, n, tk)
        # B: single loads and stores behind a single load at the address before pipeline to one cycle;
        # stores with immediate offset 1 cycle; P=1
        b = a
        m = t.split()[0]
        if re.match(r'v?(ldr|str)', m) and 'rd' not in m[-2:]:
            if prev and prev[1] + prev[4] == pc and is_load(prev[5]):
                b = a - n
            elif re.match(r'v?str', m):
                b = a - n
        # C: P=2 (refill of the pipeline 2), D: P=3
        c = cost(t, n, tk, P=2)
        # E: VMLA as VMUL+VADD = 2
        e = cost(t, n, tk, vmla=2)
        # F: stall of 1 when an FP arithmetic instruction uses the result of the one just before
        g = a
        if (
            prev
            and prev[1] + prev[4] == pc
            and re.match(r'v(add|sub|mul|mla|mls|nm|fma|fms|div|neg|abs|cvt|cmp)', m)
            and re.match(r'v(add|sub|mul|mla|mls|nm|fma|fms|cvt)', prev[5])
        ):
            d = prev[5].split(None, 1)[1].split(',')[0].strip()
            ops = [x.strip() for x in t.split(None, 1)[1].split(',')]
            srcs = ops[1:] if not re.match(r'v(mla|mls|nml|fma|fms|cmp)', m) else ops
            if d in srcs:
                g = a + n
        x = f[fn(pc)]
        x[0] += n
        x[1] += a
        x[2] += b
        gb = g - a + b
        wc = c + (g - a) + (cost(t, n, tk, P=3) - c)
        for i, v in enumerate((n, a, b, c, e, g, gb, wc)):
            tot[i] += v
        prev = r
    print(
        f'== {names[ph]}: instructions {tot[0] / images / 1e6:.3f} M | cycles A {tot[1] / images / 1e6:.2f} M'
        f' | B loads pipelined, STR 1: {tot[2] / images / 1e6:.2f} | C branch refill 2: {tot[3] / images / 1e6:.2f}'
        f' | E VMLA at 2: {tot[4] / images / 1e6:.2f} | F +FP result stall: {tot[5] / images / 1e6:.2f}'
        f' | G = B+F (best estimate): {tot[6] / images / 1e6:.2f}'
        f' | H = F, refill 3 (worst): {tot[7] / images / 1e6:.2f}'
    )
    for k, v in sorted(f.items(), key=lambda kv: -kv[1][1])[:top]:
        print(
            f'  {v[0] / images / 1e6:7.3f} M insn {100 * v[0] / tot[0]:5.1f} %  {v[1] / images / 1e6:7.3f} M cyc'
            f' {100 * v[1] / tot[1]:5.1f} %  B {v[2] / images / 1e6:7.3f}  {k}'
        )
