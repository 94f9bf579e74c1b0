/* What an instruction takes on a Cortex-M4F and on a Cortex-M7, from its disassembly as QEMU gives it.
 *
 * Cortex-M4F: the tables of Arm's Technical Reference Manual r0p1 (3-1 and 7-1) and its rules for pairs (3.3.3): a load
 * behind a load takes one cycle less, a store with an immediate offset takes one; an address that the instruction before
 * has computed, and a float that the instruction before has computed, cost one more. What the manual gives a range for is
 * taken as: refilling the pipeline 1 of 1..3, UDIV and SDIV 6 of 2..12. VLDR never gains from a pair, nor does it lose.
 *
 * Cortex-M7: Arm publishes no table. These are LLVM's (ARMScheduleM7.td): two instructions a cycle in their order, of
 * which at most one computes with floats, one multiplies, one stores, one is of the DSP extension; loads and stores of
 * several words alone, two words a cycle. Results are there after 1 cycle, loaded and multiplied ones after 2, floats
 * after 3. Branches are taken as foreseen.
 *
 * Both: code and data in memory without wait states; no interrupts.
 */
#ifndef CORTEX_M_H
#define CORTEX_M_H

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef enum {
    ALU, DSP, MULTIPLY, MULTIPLY_ADD, DIVIDE, BRANCH, TABLE,
    LOAD, STORE, LOAD_MANY, STORE_MANY,
    FLOAT, FLOAT_MULTIPLY_ADD, FLOAT_DIVIDE, FLOAT_MOVE,
    FLOAT_LOAD, FLOAT_STORE, FLOAT_LOAD_MANY, FLOAT_STORE_MANY
} Kind;

typedef struct {
    Kind kind;
    /* Registers as bits: r0 is bit 0, s0 bit 16, the flags bit 48. */
    uint64_t reads, writes, address;
    int words;
    int offset_in_register;
} Instruction;

static const uint64_t PC = 1 << 15, FLAGS = 1ull << 48;

static int begins(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

static int any(const char *text, const char *const *prefixes) {
    for (; *prefixes; prefixes++)
        if (begins(text, *prefixes))
            return 1;
    return 0;
}
#define ANY(text, ...) any(text, (const char *const[]){__VA_ARGS__, NULL})

/* The register at `*at`, as its first bit and how many words it has; steps over its name. */
static int register_at(const char **at, int *words) {
    static const char *const names[] = {"sb", "sl", "fp", "ip", "sp", "lr", "pc"};
    for (int i = 0; i < 7; i++)
        if (begins(*at, names[i]) && !isalnum((*at)[2])) {
            *at += 2;
            *words = 1;
            return 9 + i;
        }
    char kind = **at;
    if (!strchr("rsdq", kind) || !isdigit((*at)[1]))
        return -1;
    char *end;
    int number = (int)strtol(*at + 1, &end, 10);
    *at = end;
    *words = kind == 'q' ? 4 : kind == 'd' ? 2 : 1;
    int bit = kind == 'r' ? number : 16 + *words * number;
    return bit + *words <= 48 ? bit : -1;
}

/* All registers that are named from `text` to `end`, ranges included. */
static uint64_t registers(const char *text, const char *end) {
    uint64_t set = 0;
    int from = -1;
    while (text < end) {
        int words = 0, first = register_at(&text, &words);
        if (first < 0) {
            if (*text != '-')
                from = -1;
            text++;
            continue;
        }
        for (int bit = from >= 0 ? from : first; bit < first + words; bit++)
            set |= 1ull << bit;
        from = first;
        if (*text != '-')
            from = -1;
    }
    return set;
}

static Kind kind_of(const char *name) {
    if (name[0] == 'v') {
        if (ANY(name, "vfm", "vfnm", "vmla", "vmls", "vnml"))
            return FLOAT_MULTIPLY_ADD;
        if (ANY(name, "vdiv", "vsqrt"))
            return FLOAT_DIVIDE;
        if (ANY(name, "vldm", "vpop"))
            return FLOAT_LOAD_MANY;
        if (ANY(name, "vstm", "vpush"))
            return FLOAT_STORE_MANY;
        if (begins(name, "vldr"))
            return FLOAT_LOAD;
        if (begins(name, "vstr"))
            return FLOAT_STORE;
        return ANY(name, "vmov", "vmrs", "vmsr") ? FLOAT_MOVE : FLOAT;
    }
    if (ANY(name, "ldm", "pop", "ldrd"))
        return LOAD_MANY;
    if (ANY(name, "stm", "push", "strd"))
        return STORE_MANY;
    if (begins(name, "ldr"))
        return LOAD;
    if (begins(name, "str"))
        return STORE;
    if (ANY(name, "sdiv", "udiv"))
        return DIVIDE;
    if (ANY(name, "tbb", "tbh"))
        return TABLE;
    if (ANY(name, "mla", "mls"))
        return MULTIPLY_ADD;
    if (ANY(name, "mul", "smul", "umul", "smla", "umla", "smua", "smus", "smls", "smml", "smmu", "umaal"))
        return MULTIPLY;
    if (ANY(name, "sxt", "uxt", "pkh", "ssat", "usat", "qadd", "qsub", "sadd", "ssub", "uadd", "usub", "shadd", "sel"))
        return DSP;
    if (name[0] == 'b' && !ANY(name, "bic", "bf", "bkpt"))
        return BRANCH;
    return ANY(name, "cbz", "cbnz") ? BRANCH : ALU;
}

static int count(uint64_t set) { return __builtin_popcountll(set); }

static Instruction instruction(const char *text) {
    char name[16] = {0};
    size_t length = strcspn(text, " \t");
    memcpy(name, text, length < 15 ? length : 15);
    const char *operands = text + length, *end = text + strlen(text);
    Instruction i = {.kind = kind_of(name)};

    const char *bracket = strchr(operands, '['), *brace = strchr(operands, '{'), *comma = strchr(operands, ',');
    const char *first = comma ? comma : end;
    if (bracket) {
        const char *close = strchr(bracket, ']');
        close = close ? close : end;
        i.address = registers(bracket, close);
        i.offset_in_register = count(i.address) > 1;
    }
    uint64_t all = registers(operands, end);
    uint64_t values = registers(operands, bracket ? bracket : brace ? brace : first);
    switch (i.kind) {
    case LOAD: case FLOAT_LOAD:
        i.writes = values, i.reads = i.address;
        break;
    case LOAD_MANY: case FLOAT_LOAD_MANY:
        i.writes = brace ? registers(brace, end) : values;
        i.address |= brace ? values : 0;
        i.reads = i.address;
        break;
    case STORE_MANY: case FLOAT_STORE_MANY:
        i.address |= brace ? values : 0;
        i.reads = all;
        values = brace ? registers(brace, end) : values;
        break;
    case STORE: case FLOAT_STORE: case BRANCH: case TABLE:
        i.reads = all;
        break;
    default:
        if (ANY(name, "cmp", "cmn", "tst", "teq", "vcmp")) {
            i.reads = all, i.writes = FLAGS;
            break;
        }
        if (ANY(name, "umull", "smull", "smlal", "umlal", "smlsld"))
            first = comma ? strchr(comma + 1, ',') : end;
        i.writes = registers(operands, first ? first : end);
        i.reads = registers(first ? first : end, end);
        if (i.kind == FLOAT_MULTIPLY_ADD || ANY(name, "movt", "bfi", "smlal", "umlal"))
            i.reads |= i.writes;
        if (begins(name, "vmrs"))
            i.writes |= FLAGS;
    }
    int many = i.kind == LOAD_MANY || i.kind == FLOAT_LOAD_MANY;
    i.words = count(many ? i.writes : values);
    if (strchr(operands, '!'))
        i.writes |= i.address;
    size_t l = strlen(name);
    if (i.kind == BRANCH && l > 1 && !ANY(name, "bl", "bx", "cb"))
        i.reads |= FLAGS;
    if (l > 3 && name[l - 1] == 's' && i.kind == ALU)
        i.writes |= FLAGS;
    return i;
}

/* Cycles on a Cortex-M4F behind `before`, or with nothing known before. A taken branch takes one more. */
static int cortex_m4(const Instruction *i, const Instruction *before) {
    int waits = 0, behind_load = 0;
    if (before) {
        int computes = before->kind <= DIVIDE;
        int floats = before->kind == FLOAT || before->kind == FLOAT_MULTIPLY_ADD || before->kind == FLOAT_DIVIDE;
        waits = (computes && before->writes & i->address) || (floats && before->writes & i->reads & ~FLAGS);
        behind_load = before->kind == LOAD && !(before->writes & i->address);
    }
    switch (i->kind) {
    case MULTIPLY_ADD: return 2 + waits;
    case DIVIDE: return 6;
    case TABLE: return 3 + waits;
    case LOAD: return (i->writes & PC ? 5 : 2) - behind_load + waits;
    case STORE: return (i->offset_in_register && !behind_load ? 2 : 1) + waits;
    case LOAD_MANY: case FLOAT_LOAD_MANY: return 1 + i->words + (i->writes & PC ? 1 : 0) + waits;
    case STORE_MANY: case FLOAT_STORE_MANY: case FLOAT_LOAD: case FLOAT_STORE: return 1 + i->words + waits;
    case FLOAT_MULTIPLY_ADD: return 3 + waits;
    case FLOAT_DIVIDE: return 14 + waits;
    case FLOAT_MOVE: return (count(i->writes | i->reads) > 2 ? 2 : 1) + waits;
    default: return 1 + waits;
    }
}

/* A Cortex-M7 at work: the cycle that it is in, what was issued in it, when each register is there. */
typedef struct {
    int cycle, issued, used;
    int ready[64];
} CortexM7;

/* Issues an instruction and gives by how many cycles that moves the clock on. */
static int cortex_m7(CortexM7 *core, const Instruction *i) {
    enum { VFP = 1, MULTIPLIER = 2, STORES = 4, SIMD = 8, BRANCHES = 16 };
    int uses = 0, latency = 1, alone = 0, lasts = 0;
    switch (i->kind) {
    case DSP: uses = SIMD; break;
    case MULTIPLY: case MULTIPLY_ADD: uses = MULTIPLIER, latency = 2; break;
    case DIVIDE: alone = 1, latency = 7, lasts = 6; break;
    case BRANCH: uses = BRANCHES; break;
    case TABLE: alone = 1, lasts = 1; break;
    case LOAD: latency = 2; break;
    case STORE: case FLOAT_STORE: uses = STORES; break;
    case LOAD_MANY: case STORE_MANY: case FLOAT_LOAD_MANY: case FLOAT_STORE_MANY:
        alone = 1, latency = 2, lasts = (i->words - 1) / 2;
        break;
    case FLOAT_LOAD: latency = 2; break;
    case FLOAT: uses = VFP, latency = 3; break;
    case FLOAT_MULTIPLY_ADD: uses = VFP, latency = 6; break;
    case FLOAT_DIVIDE: uses = VFP, latency = 16; break;
    case FLOAT_MOVE: latency = 3; break;
    case ALU: break;
    }
    int start = core->cycle;
    for (int bit = 0; bit < 49; bit++)
        if (i->reads >> bit & 1) {
            /* The third operand of a multiply-add is needed when the product is there. */
            int late = i->kind == FLOAT_MULTIPLY_ADD && i->writes >> bit & 1 ? 3 : 0;
            int there = core->ready[bit] - late;
            start = there > start ? there : start;
        }
    int full = core->issued >= 2 || core->used & uses || (alone && core->issued);
    if (start == core->cycle && full)
        start++;
    if (start > core->cycle)
        core->issued = core->used = 0;
    int before = core->cycle;
    core->cycle = start + lasts;
    core->issued = alone ? 2 : core->issued + 1;
    core->used |= uses;
    for (int bit = 0; bit < 49; bit++)
        if (i->writes >> bit & 1)
            core->ready[bit] = core->cycle + (bit == 48 ? 1 : latency);
    return core->cycle - before;
}

#endif
