// PTX, one instruction at a time, against answers that are known.
#include "ptx.h"

#include <cfloat>
#include <cmath>

using test::bits;
using test::Gpu;

namespace {

/// Instructions over %a.., %b.., %c.. (16, 32, 64: bits; f, d: floating point) that leave a result in %r16, %r32, %r64, %rf, %rd or %p.
struct Row {
    const char* text;
    uint64_t a, b, c, expected;
};

/// All rows in one kernel, each in a scope of its own.
void check(const char* file, int line, const std::vector<Row>& rows) {
    std::string text = test::ptxHeader + ".visible .entry rows(.param .u64 input, .param .u64 output)\n{\n.reg .u64 %in, %out;\n"
                                "ld.param.u64 %in, [input];\nld.param.u64 %out, [output];\n";
    std::vector<uint64_t> inputs;
    for (size_t i = 0; i < rows.size(); i++) {
        inputs.insert(inputs.end(), {rows[i].a, rows[i].b, rows[i].c});
        text += "{\n.reg .b16 %a16, %b16, %c16, %r16; .reg .b32 %a32, %b32, %c32, %r32, %u, %v; .reg .b64 %a64, %b64, %c64, %r64;\n"
                ".reg .f32 %af, %bf, %cf, %rf; .reg .f64 %ad, %bd, %cd, %rd; .reg .pred %p, %q, %o;\n"
                "setp.ne.b32 %o, 0, 0;\n";
        for (int k = 0; k < 3; k++) {
            const std::string name = std::string("%") + "abc"[k], at = ", [%in+" + std::to_string(24 * i + 8 * (size_t)k) + "];\n";
            text += "ld.global.b64 " + name + "64" + at + "ld.global.b32 " + name + "32" + at + "ld.global.b16 " + name + "16" + at;
            text += "ld.global.f32 " + name + "f" + at + "ld.global.f64 " + name + "d" + at;
        }

        const std::string body = rows[i].text, to = "[%out+" + std::to_string(8 * i) + "]";
        text += body + "\n";
        if (body.find("%r64") != std::string::npos) text += "st.global.b64 " + to + ", %r64;\n";
        else if (body.find("%rd") != std::string::npos) text += "st.global.f64 " + to + ", %rd;\n";
        else if (body.find("%rf") != std::string::npos)
            text += "mov.b32 %r32, %rf;\ncvt.u64.u32 %r64, %r32;\nst.global.b64 " + to + ", %r64;\n";
        else if (body.find("%r32") != std::string::npos) text += "cvt.u64.u32 %r64, %r32;\nst.global.b64 " + to + ", %r64;\n";
        else if (body.find("%r16") != std::string::npos) text += "cvt.u64.u16 %r64, %r16;\nst.global.b64 " + to + ", %r64;\n";
        else text += "selp.b64 %r64, 1, 0, %p;\nst.global.b64 " + to + ", %r64;\n";
        text += "}\n";
    }

    Gpu gpu;
    test::Loaded loaded(text + "ret;\n}\n");
    if (loaded.code) {
        test::fail(file, line, loaded.log);
        return;
    }

    CUdeviceptr input = gpu.upload(inputs), output = gpu.alloc(rows.size() * 8);
    OK(gpu.launch(loaded.function("rows"), 1, 1, 0, input, output));
    std::vector<uint64_t> got = gpu.download<uint64_t>(output, rows.size());
    OK(gpu.sync());
    for (size_t i = 0; i < rows.size(); i++) {
        if (got[i] == rows[i].expected) continue;
        char words[300];
        std::snprintf(words, sizeof words, "%s with %#llx, %#llx, %#llx is %#llx, not %#llx", rows[i].text, (unsigned long long)rows[i].a,
            (unsigned long long)rows[i].b,
                      (unsigned long long)rows[i].c, (unsigned long long)got[i], (unsigned long long)rows[i].expected);
        test::fail(file, line, words);
    }
}

#define ROWS(...) check(__FILE__, __LINE__, __VA_ARGS__)

}  // namespace

TEST(PtxIntegers) {
    ROWS({
        {"add.s32 %r32, %a32, %b32;", 0x7fffffff, 1, 0, 0x80000000},
        {"add.u16 %r16, %a16, %b16;", 0xffff, 2, 0, 1},
        {"add.u64 %r64, %a64, %b64;", ~0ull, 2, 0, 1},
        {"add.sat.s32 %r32, %a32, %b32;", 0x7fffffff, 1, 0, 0x7fffffff},
        {"sub.sat.s32 %r32, %a32, %b32;", 0x80000000, 1, 0, 0x80000000},
        {"sub.s16 %r16, %a16, -1;", 0x7fff, 0, 0, 0x8000},
        {"add.cc.u32 %u, %a32, %b32; addc.u32 %r32, 0, 0;", ~0ull, 1, 0, 1},
        {"sub.cc.u32 %u, %a32, %b32; subc.u32 %r32, %c32, 0;", 1, 2, 9, 8},
        {"add.cc.u64 %r64, %a64, %b64; addc.u64 %r64, %c64, 5;", ~0ull, 1, 4, 10},
        {"mul.lo.s32 %r32, %a32, %b32;", 0x10001, 0x10001, 0, 0x20001},
        {"mul.lo.u16 %r16, %a16, %b16;", 0xffff, 0xffff, 0, 1},
        {"mul.hi.s32 %r32, %a32, %b32;", 0xffffffff, 2, 0, 0xffffffff},
        {"mul.hi.u32 %r32, %a32, %b32;", 0xffffffff, 2, 0, 1},
        {"mul.hi.s64 %r64, %a64, %b64;", ~0ull, 2, 0, ~0ull},
        {"mul.hi.u64 %r64, %a64, %b64;", ~0ull, ~0ull, 0, ~0ull - 1},
        {"mul.hi.s16 %r16, %a16, %b16;", 0x8000, 0x8000, 0, 0x4000},
        {"mul.hi.u16 %r16, %a16, %b16;", 0x8000, 0x8000, 0, 0x4000},
        {"mul.wide.u32 %r64, %a32, %b32;", 0xffffffff, 4, 0, 0x3fffffffcull},
        {"mul.wide.s32 %r64, %a32, %b32;", 0xffffffff, 4, 0, ~0ull - 3},
        {"mul.wide.s16 %r32, %a16, %b16;", 0xffff, 2, 0, 0xfffffffe},
        {"mul.wide.u16 %r32, %a16, %b16;", 0xffff, 0xffff, 0, 0xfffe0001},
        {"mad.lo.s32 %r32, %a32, %b32, %c32;", 3, 5, 7, 22},
        {"mad.hi.u32 %r32, %a32, %b32, %c32;", 0x80000000, 4, 7, 9},
        {"mad.hi.sat.s32 %r32, %a32, %b32, %c32;", 0x7fffffff, 4, 0x7fffffff, 0x7fffffff},
        {"mad.wide.u32 %r64, %a32, %b32, %c64;", 0xffffffff, 2, 1, 0x1ffffffffull},
        {"mad.wide.s32 %r64, %a32, %b32, %c64;", 0xffffffff, 2, 1, ~0ull},
        {"mad.lo.u64 %r64, %a64, %b64, %c64;", 1ull << 40, 3, 1, (3ull << 40) + 1},
        {"mul24.lo.u32 %r32, %a32, %b32;", 0xff000003, 5, 0, 15},
        {"mul24.hi.s32 %r32, %a32, %b32;", 0xffffff, 0x10000, 0, 0xffffffff},
        {"mad24.lo.s32 %r32, %a32, %b32, %c32;", 0xffffff, 5, 7, 2},
        {"sad.s32 %r32, %a32, %b32, %c32;", 0xffffffff, 3, 10, 14},
        {"sad.u32 %r32, %a32, %b32, %c32;", 3, 5, 10, 12},
        {"neg.s32 %r32, %a32;", 0x80000000, 0, 0, 0x80000000},
        {"neg.s64 %r64, %a64;", 5, 0, 0, ~0ull - 4},
        {"abs.s32 %r32, %a32;", 0xfffffff6, 0, 0, 10},
        {"abs.s16 %r16, %a16;", 0x8000, 0, 0, 0x8000},
        {"abs.s64 %r64, %a64;", ~0ull, 0, 0, 1},
        {"min.s32 %r32, %a32, %b32;", 0xffffffff, 1, 0, 0xffffffff},
        {"min.u32 %r32, %a32, %b32;", 0xffffffff, 1, 0, 1},
        {"max.s16 %r16, %a16, %b16;", 0xffff, 1, 0, 1},
        {"max.u64 %r64, %a64, %b64;", ~0ull, 1, 0, ~0ull},
        {"max.s64 %r64, %a64, %b64;", ~0ull, 1, 0, 1},
    });
}

TEST(PtxDivisions) {
    ROWS({
        {"div.s32 %r32, %a32, %b32;", 0xfffffff9, 2, 0, 0xfffffffd},
        {"rem.s32 %r32, %a32, %b32;", 0xfffffff9, 2, 0, 0xffffffff},
        {"rem.s32 %r32, %a32, %b32;", 7, 0xfffffffd, 0, 1},
        {"div.u32 %r32, %a32, %b32;", 0xfffffff9, 2, 0, 0x7ffffffc},
        {"rem.u32 %r32, %a32, %b32;", 0xfffffff9, 10, 0, 9},
        {"div.s32 %r32, %a32, %b32;", 0x80000000, 0xffffffff, 0, 0x80000000},
        {"rem.s32 %r32, %a32, %b32;", 0x80000000, 0xffffffff, 0, 0},
        {"div.s32 %r32, %a32, %b32;", 7, 0, 0, 0xffffffff},
        {"div.u32 %r32, %a32, %b32;", 7, 0, 0, 0xffffffff},
        {"rem.u32 %r32, %a32, %b32;", 7, 0, 0, 0xffffffff},
        {"rem.s32 %r32, %a32, %b32;", 7, 0, 0, 0xffffffff},
        {"div.u16 %r16, %a16, %b16;", 1000, 7, 0, 142},
        {"div.s16 %r16, %a16, %b16;", 0x8000, 0xffff, 0, 0x8000},
        {"rem.s16 %r16, %a16, %b16;", 0xfff9, 2, 0, 0xffff},
        {"div.u16 %r16, %a16, %b16;", 1, 0, 0, 0xffff},
        {"div.s64 %r64, %a64, %b64;", 1ull << 63, ~0ull, 0, 1ull << 63},
        {"div.s64 %r64, %a64, %b64;", ~0ull - 6, 2, 0, ~0ull - 2},
        {"div.u64 %r64, %a64, %b64;", ~0ull, 10, 0, 1844674407370955161ull},
        {"rem.u64 %r64, %a64, %b64;", ~0ull, 10, 0, 5},
        {"rem.s64 %r64, %a64, %b64;", 9, 0, 0, ~0ull},
    });
}

TEST(PtxBits) {
    ROWS({
        {"shl.b32 %r32, %a32, %b32;", 1, 31, 0, 0x80000000},
        {"shl.b32 %r32, %a32, %b32;", 1, 32, 0, 0},
        {"shl.b32 %r32, %a32, %b32;", 1, 0xffffffff, 0, 0},
        {"shl.b64 %r64, %a64, %b32;", 1, 64, 0, 0},
        {"shl.b64 %r64, %a64, 63;", 3, 0, 0, 1ull << 63},
        {"shl.b16 %r16, %a16, %b32;", 0xffff, 15, 0, 0x8000},
        {"shl.b16 %r16, %a16, %b32;", 0xffff, 16, 0, 0},
        {"shr.u32 %r32, %a32, %b32;", 0x80000000, 32, 0, 0},
        {"shr.s32 %r32, %a32, %b32;", 0x80000000, 31, 0, 0xffffffff},
        {"shr.s32 %r32, %a32, %b32;", 0x80000000, 40, 0, 0xffffffff},
        {"shr.s32 %r32, %a32, %b32;", 0x40000000, 40, 0, 0},
        {"shr.b32 %r32, %a32, %b32;", 0x80000000, 4, 0, 0x08000000},
        {"shr.s16 %r16, %a16, %b32;", 0x8000, 20, 0, 0xffff},
        {"shr.s64 %r64, %a64, %b32;", 1ull << 63, 100, 0, ~0ull},
        {"shr.u64 %r64, %a64, %b32;", 1ull << 63, 63, 0, 1},
        {"and.b32 %r32, %a32, %b32;", 0xff00ff, 0x0ffff0, 0, 0x0f00f0},
        {"or.b16 %r16, %a16, 0x0f;", 0xf0, 0, 0, 0xff},
        {"xor.b64 %r64, %a64, %b64;", ~0ull, 1, 0, ~0ull - 1},
        {"not.b32 %r32, %a32;", 0x0f, 0, 0, 0xfffffff0},
        {"not.b16 %r16, %a16;", 0x0f, 0, 0, 0xfff0},
        {"cnot.b32 %r32, %a32;", 0, 0, 0, 1},
        {"cnot.b32 %r32, %a32;", 8, 0, 0, 0},
        {"popc.b32 %r32, %a32;", 0xf0f0f0f0, 0, 0, 16},
        {"popc.b64 %r32, %a64;", ~0ull, 0, 0, 64},
        {"clz.b32 %r32, %a32;", 0, 0, 0, 32},
        {"clz.b32 %r32, %a32;", 1, 0, 0, 31},
        {"clz.b64 %r32, %a64;", 1, 0, 0, 63},
        {"bfind.u32 %r32, %a32;", 0x00100000, 0, 0, 20},
        {"bfind.u32 %r32, %a32;", 0, 0, 0, 0xffffffff},
        {"bfind.s32 %r32, %a32;", 0xffffffff, 0, 0, 0xffffffff},
        {"bfind.s32 %r32, %a32;", 0xfffffffb, 0, 0, 2},
        {"bfind.shiftamt.u32 %r32, %a32;", 0x00100000, 0, 0, 11},
        {"bfind.u64 %r32, %a64;", 1ull << 40, 0, 0, 40},
        {"bfind.s64 %r32, %a64;", ~0ull - 1, 0, 0, 0},
        {"brev.b32 %r32, %a32;", 0x00000003, 0, 0, 0xc0000000},
        {"brev.b64 %r64, %a64;", 0x1, 0, 0, 1ull << 63},
        {"bfe.u32 %r32, %a32, %b32, %c32;", 0xabcd1234, 8, 12, 0xd12},
        {"bfe.s32 %r32, %a32, %b32, %c32;", 0xabcd1234, 8, 12, 0xfffffd12},
        {"bfe.u32 %r32, %a32, %b32, %c32;", 0xabcd1234, 28, 12, 0xa},
        {"bfe.s32 %r32, %a32, %b32, %c32;", 0xabcd1234, 28, 12, 0xfffffffa},
        {"bfe.s32 %r32, %a32, %b32, %c32;", 0x80000000, 40, 4, 0xffffffff},
        {"bfe.s32 %r32, %a32, %b32, %c32;", 0xffffffff, 4, 0, 0},
        {"bfe.s64 %r64, %a64, %b32, %c32;", 0x00ff000000000000ull, 48, 8, ~0ull},
        {"bfe.u64 %r64, %a64, %b32, %c32;", ~0ull, 0, 64, ~0ull},
        {"bfi.b32 %r32, %a32, %b32, %c32, 8;", 0xff, 0x12345678, 8, 0x1234ff78},
        {"bfi.b32 %r32, %a32, %b32, %c32, 0;", 0xff, 0x12345678, 8, 0x12345678},
        {"bfi.b32 %r32, %a32, %b32, %c32, 8;", 0xff, 0x12345678, 32, 0x12345678},
        {"bfi.b64 %r64, %a64, %b64, %c32, 4;", 0xf, 0, 60, 0xf000000000000000ull},
        {"prmt.b32 %r32, %a32, %b32, %c32;", 0x33221100, 0x77665544, 0x7051, 0x77005511},
        {"prmt.b32 %r32, %a32, %b32, %c32;", 0x332211f0, 0, 0x8008, 0xfff0f0ff},
        {"shf.l.wrap.b32 %r32, %a32, %b32, %c32;", 0x80000000, 1, 33, 3},
        {"shf.l.clamp.b32 %r32, %a32, %b32, %c32;", 0x80000000, 1, 33, 0x80000000},
        {"shf.r.wrap.b32 %r32, %a32, %b32, %c32;", 0x80000000, 1, 1, 0xc0000000},
        {"shf.r.clamp.b32 %r32, %a32, %b32, %c32;", 0x80000000, 7, 32, 7},
        {"lop3.b32 %r32, %a32, %b32, %c32, 0x96;", 0xff00ff00, 0xf0f0f0f0, 0xcccccccc, 0xff00ff00u ^ 0xf0f0f0f0u ^ 0xccccccccu},
        {"lop3.b32 %r32, %a32, %b32, %c32, 0xca;", 0xff00ff00, 0xf0f0f0f0, 0xcccccccc,
            (0xff00ff00u & 0xf0f0f0f0u) | (~0xff00ff00u & 0xccccccccu)},
    });
}

TEST(PtxMoves) {
    ROWS({
        {"mov.b32 %r32, {%a16, %b16};", 0x1111, 0x2222, 0, 0x22221111},
        {"{ .reg .b16 %lo, %hi; mov.b32 {%lo, %hi}, %a32; mov.b32 %r32, {%hi, %lo}; }", 0x11112222, 0, 0, 0x22221111},
        {"mov.b64 %r64, {%a32, %b32};", 1, 2, 0, 0x200000001ull},
        {"mov.b64 {%u, %v}, %a64; mov.b64 %r64, {%v, %u};", 0x200000001ull, 0, 0, 0x100000002ull},
        {"{ .reg .b16 %w<4>; mov.b64 {%w0, %w1, %w2, %w3}, %a64; mov.b64 %r64, {%w3, %w2, %w1, %w0}; }", 0x0004000300020001ull, 0, 0,
            0x0001000200030004ull},
        {"mov.b32 %r32, %af;", bits(1.5f), 0, 0, bits(1.5f)},
        {"mov.b32 %rf, %a32;", bits(-2.0f), 0, 0, bits(-2.0f)},
        {"mov.b64 %rd, %a64;", bits(2.5), 0, 0, bits(2.5)},
        {"mov.f32 %rf, 0f3FC00000;", 0, 0, 0, bits(1.5f)},
        {"mov.f32 %rf, 1.5;", 0, 0, 0, bits(1.5f)},
        {"mov.f64 %rd, 0d3FF8000000000000;", 0, 0, 0, bits(1.5)},
        {"mov.u32 %r32, 0b101;", 0, 0, 0, 5},
        {"mov.s32 %r32, -1;", 0, 0, 0, 0xffffffff},
        {"mov.u32 %r32, 4294967295U;", 0, 0, 0, 0xffffffff},
        {"mov.b32 %r32, %tid.x;", 0, 0, 0, 0},
        {"mov.b32 %r32, %ntid.x;", 0, 0, 0, 1},
        {"{ .reg .b32 %a32; mov.b32 %a32, 7; { .reg .b32 %a32; mov.b32 %a32, 9; } mov.b32 %r32, %a32; }", 1, 0, 0, 7},
        {"{ bra L; mov.b32 %r32, 1; L: mov.b32 %r32, 2; }", 0, 0, 0, 2},
        {"setp.eq.s32 %p, %a32, 3; mov.b32 %r32, 1; @%p mov.b32 %r32, 5;", 3, 0, 0, 5},
        {"setp.eq.s32 %p, %a32, 3; mov.b32 %r32, 1; @!%p mov.b32 %r32, 5;", 3, 0, 0, 1},
        {"{ T: .branchtargets A, B, C; brx.idx %a32, T; A: mov.b32 %r32, 10; bra E; B: mov.b32 %r32, 11; bra E; C: mov.b32 %r32, 12; E: }",
            1, 0, 0, 11},
    });
}

TEST(PtxComparisons) {
    const uint64_t one = bits(1.0f), two = bits(2.0f), nan = bits(NAN), zero = bits(0.0f), minus = bits(-0.0f);
    ROWS({
        {"setp.lt.s32 %p, %a32, %b32;", 0xffffffff, 1, 0, 1},
        {"setp.lt.u32 %p, %a32, %b32;", 0xffffffff, 1, 0, 0},
        {"setp.lo.u32 %p, %a32, %b32;", 0, 1, 0, 1},
        {"setp.hs.u64 %p, %a64, %b64;", ~0ull, 1, 0, 1},
        {"setp.ge.s64 %p, %a64, %b64;", ~0ull, 1, 0, 0},
        {"setp.gt.s16 %p, %a16, %b16;", 0x8000, 1, 0, 0},
        {"setp.gt.u16 %p, %a16, %b16;", 0x8000, 1, 0, 1},
        {"setp.eq.b32 %p, %a32, %b32;", 5, 5, 0, 1},
        {"setp.ne.b64 %p, %a64, %b64;", 5, 5, 0, 0},
        {"setp.eq.f32 %p, %af, %bf;", zero, minus, 0, 1},
        {"setp.eq.f32 %p, %af, %bf;", nan, nan, 0, 0},
        {"setp.ne.f32 %p, %af, %bf;", one, nan, 0, 0},
        {"setp.neu.f32 %p, %af, %bf;", one, nan, 0, 1},
        {"setp.equ.f32 %p, %af, %bf;", one, nan, 0, 1},
        {"setp.equ.f32 %p, %af, %bf;", one, two, 0, 0},
        {"setp.lt.f32 %p, %af, %bf;", one, nan, 0, 0},
        {"setp.ltu.f32 %p, %af, %bf;", one, nan, 0, 1},
        {"setp.ltu.f32 %p, %af, %bf;", two, one, 0, 0},
        {"setp.leu.f32 %p, %af, %bf;", one, one, 0, 1},
        {"setp.gtu.f32 %p, %af, %bf;", one, two, 0, 0},
        {"setp.geu.f32 %p, %af, %bf;", nan, two, 0, 1},
        {"setp.num.f32 %p, %af, %bf;", one, two, 0, 1},
        {"setp.num.f32 %p, %af, %bf;", one, nan, 0, 0},
        {"setp.nan.f32 %p, %af, %bf;", nan, two, 0, 1},
        {"setp.gt.f64 %p, %ad, %bd;", bits(2.0), bits(1.0), 0, 1},
        {"setp.nan.f64 %p, %ad, %bd;", bits((double)NAN), bits(1.0), 0, 1},
        {"setp.gt.ftz.f32 %p, %af, 0f00000000;", 1, 0, 0, 0},
        {"setp.gt.f32 %p, %af, 0f00000000;", 1, 0, 0, 1},
        {"setp.lt.and.s32 %p, %a32, %b32, %o;", 1, 2, 0, 0},
        {"setp.lt.and.s32 %p, %a32, %b32, !%o;", 1, 2, 0, 1},
        {"setp.lt.or.s32 %p, %a32, %b32, !%o;", 3, 2, 0, 1},
        {"setp.lt.xor.s32 %p, %a32, %b32, !%o;", 1, 2, 0, 0},
        {"setp.lt.s32 %p|%q, %a32, %b32; selp.b32 %r32, 1, 0, %p; @%q add.s32 %r32, %r32, 2;", 1, 2, 0, 1},
        {"setp.lt.s32 %p|%q, %a32, %b32; selp.b32 %r32, 1, 0, %p; @%q add.s32 %r32, %r32, 2;", 2, 1, 0, 2},
        {"setp.lt.and.s32 %p|%q, %a32, %b32, %o; selp.b32 %r32, 1, 0, %p; @%q add.s32 %r32, %r32, 2;", 2, 1, 0, 0},
        {"setp.lt.f16 %p, %a16, %b16;", 0x3c00, 0x4000, 0, 1},
        {"setp.lt.f16x2 %p|%q, %a32, %b32; selp.b32 %r32, 1, 0, %p; @%q add.s32 %r32, %r32, 2;", 0x40003c00, 0x3c004000, 0, 1},
        {"set.lt.u32.s32 %r32, %a32, %b32;", 1, 2, 0, 0xffffffff},
        {"set.lt.f32.s32 %rf, %a32, %b32;", 1, 2, 0, one},
        {"set.gtu.s32.f32 %r32, %af, %bf;", nan, two, 0, 0xffffffff},
        {"set.eq.and.u32.u32 %r32, %a32, %b32, %o;", 1, 1, 0, 0},
        {"setp.ne.b32 %p, %c32, 0; selp.f32 %rf, %af, %bf, %p;", one, two, 1, one},
        {"setp.ne.b32 %p, %c32, 0; selp.b64 %r64, %a64, %b64, %p;", 1, 2, 0, 2},
        {"slct.s32.s32 %r32, %a32, %b32, %c32;", 1, 2, 0xffffffff, 2},
        {"slct.s32.f32 %r32, %a32, %b32, %cf;", 1, 2, minus, 1},
        {"slct.s32.f32 %r32, %a32, %b32, %cf;", 1, 2, nan, 2},
        {"and.pred %p, %o, 1;", 0, 0, 0, 0},
        {"not.pred %p, %o;", 0, 0, 0, 1},
        {"not.pred %q, %o; xor.pred %p, %q, %o;", 0, 0, 0, 1},
        {"testp.finite.f32 %p, %af;", bits(INFINITY), 0, 0, 0},
        {"testp.infinite.f32 %p, %af;", bits(-INFINITY), 0, 0, 1},
        {"testp.number.f32 %p, %af;", nan, 0, 0, 0},
        {"testp.notanumber.f64 %p, %ad;", bits((double)NAN), 0, 0, 1},
        {"testp.normal.f32 %p, %af;", 1, 0, 0, 0},
        {"testp.subnormal.f32 %p, %af;", 1, 0, 0, 1},
        {"testp.subnormal.f32 %p, %af;", 0, 0, 0, 0},
    });
}

TEST(PtxFloats) {
    const uint64_t one = bits(1.0f), nan = bits(NAN), tiny = bits(0x1p-24f), third = bits(1.0f / 3), largest = bits(FLT_MAX),
        up = bits(1.0f + 0x1p-23f);
    ROWS({
        {"add.f32 %rf, %af, %bf;", one, tiny, 0, one},
        {"add.rn.f32 %rf, %af, %bf;", one, tiny, 0, one},
        {"add.rp.f32 %rf, %af, %bf;", one, tiny, 0, up},
        {"add.rm.f32 %rf, %af, %bf;", one, tiny, 0, one},
        {"add.rz.f32 %rf, %af, %bf;", bits(-1.0f), bits(-0x1p-24f), 0, bits(-1.0f)},
        {"add.rm.f32 %rf, %af, %bf;", bits(-1.0f), bits(-0x1p-24f), 0, bits(-1.0f - 0x1p-23f)},
        {"sub.rp.f32 %rf, %af, %bf;", one, bits(-0x1p-24f), 0, up},
        {"sub.rm.f32 %rf, %af, %bf;", one, one, 0, bits(-0.0f)},
        {"sub.f32 %rf, %af, %bf;", one, one, 0, 0},
        {"add.f32 %rf, %af, %bf;", largest, largest, 0, bits(INFINITY)},
        {"add.rz.f32 %rf, %af, %bf;", largest, largest, 0, largest},
        {"add.f64 %rd, %ad, %bd;", bits(1.0), bits(0x1p-53), 0, bits(1.0)},
        {"add.rp.f64 %rd, %ad, %bd;", bits(1.0), bits(0x1p-53), 0, bits(1.0 + 0x1p-52)},
        {"mul.f32 %rf, %af, %bf;", up, up, 0, bits(1.0f + 0x1p-22f)},
        {"mul.rp.f32 %rf, %af, %bf;", up, up, 0, bits(1.0f + 0x1p-22f + 0x1p-23f)},
        {"mul.rz.f64 %rd, %ad, %bd;", bits(1.0 + 0x1p-52), bits(1.0 + 0x1p-52), 0, bits(1.0 + 0x1p-51)},
        {"mul.ftz.f32 %rf, %af, %bf;", bits(-0x1p-100f), bits(0x1p-40f), 0, bits(-0.0f)},
        {"mul.f32 %rf, %af, %bf;", bits(0x1p-100f), bits(0x1p-40f), 0, bits(0x1p-140f)},
        {"add.ftz.f32 %rf, %af, %bf;", bits(0x1p-130f), bits(0x1p-126f), 0, bits(0x1p-126f)},
        {"add.sat.f32 %rf, %af, %bf;", one, one, 0, one},
        {"add.sat.f32 %rf, %af, %bf;", nan, one, 0, 0},
        {"mul.sat.f32 %rf, %af, %bf;", one, bits(-1.0f), 0, 0},
        {"fma.rn.f32 %rf, %af, %bf, %cf;", up, up, bits(-1.0f - 0x1p-22f), bits(0x1p-46f)},
        {"fma.rz.f32 %rf, %af, %bf, %cf;", one, one, tiny, one},
        {"fma.rp.f32 %rf, %af, %bf, %cf;", one, one, tiny, up},
        {"fma.rm.f64 %rd, %ad, %bd, %cd;", bits(1.0), bits(-1.0), bits(-0x1p-60), bits(-1.0 - 0x1p-52)},
        {"mad.rn.f32 %rf, %af, %bf, %cf;", bits(2.0f), bits(3.0f), one, bits(7.0f)},
        {"div.rn.f32 %rf, %af, %bf;", one, bits(3.0f), 0, third},
        {"div.rz.f32 %rf, %af, %bf;", one, bits(3.0f), 0, bits(std::nextafterf(1.0f / 3, 0.0f))},
        {"div.rp.f32 %rf, %af, %bf;", one, bits(3.0f), 0, third},
        {"div.full.f32 %rf, %af, %bf;", one, bits(4.0f), 0, bits(0.25f)},
        {"div.approx.ftz.f32 %rf, %af, %bf;", one, bits(4.0f), 0, bits(0.25f)},
        {"div.rn.f64 %rd, %ad, %bd;", bits(1.0), bits(0.0), 0, bits((double)INFINITY)},
        {"rcp.rn.f32 %rf, %af;", bits(3.0f), 0, 0, third},
        {"rcp.rm.f32 %rf, %af;", bits(3.0f), 0, 0, bits(std::nextafterf(1.0f / 3, 0.0f))},
        {"rcp.approx.f32 %rf, %af;", bits(4.0f), 0, 0, bits(0.25f)},
        {"rcp.rn.f64 %rd, %ad;", bits(4.0), 0, 0, bits(0.25)},
        {"rcp.approx.ftz.f64 %rd, %ad;", bits(4.0), 0, 0, bits(0.25)},
        {"sqrt.rn.f32 %rf, %af;", bits(2.0f), 0, 0, bits(std::sqrt(2.0f))},
        {"sqrt.rz.f32 %rf, %af;", bits(2.0f), 0, 0, bits(std::sqrt(2.0f))},
        {"sqrt.rp.f32 %rf, %af;", bits(2.0f), 0, 0, bits(std::nextafterf(std::sqrt(2.0f), 2.0f))},
        {"sqrt.rp.f64 %rd, %ad;", bits(4.0), 0, 0, bits(2.0)},
        {"sqrt.approx.f32 %rf, %af;", bits(9.0f), 0, 0, bits(3.0f)},
        {"rsqrt.approx.f32 %rf, %af;", bits(4.0f), 0, 0, bits(0.5f)},
        {"rsqrt.approx.f64 %rd, %ad;", bits(4.0), 0, 0, bits(0.5)},
        {"ex2.approx.f32 %rf, %af;", bits(-3.0f), 0, 0, bits(0.125f)},
        {"ex2.approx.f32 %rf, %af;", bits(-130.0f), 0, 0, bits(0x1p-130f)},
        {"ex2.approx.ftz.f32 %rf, %af;", bits(-130.0f), 0, 0, 0},
        {"lg2.approx.f32 %rf, %af;", bits(8.0f), 0, 0, bits(3.0f)},
        {"sin.approx.f32 %rf, %af;", 0, 0, 0, 0},
        {"cos.approx.f32 %rf, %af;", 0, 0, 0, one},
        {"tanh.approx.f32 %rf, %af;", bits(20.0f), 0, 0, one},
        {"min.f32 %rf, %af, %bf;", nan, one, 0, one},
        {"max.f32 %rf, %af, %bf;", nan, nan, 0, 0x7fffffff},
        {"max.NaN.f32 %rf, %af, %bf;", nan, one, 0, 0x7fffffff},
        {"min.f32 %rf, %af, %bf;", 0, bits(-0.0f), 0, bits(-0.0f)},
        {"max.f32 %rf, %af, %bf;", bits(-0.0f), 0, 0, 0},
        {"min.f64 %rd, %ad, %bd;", bits(2.0), bits(1.0), 0, bits(1.0)},
        {"max.ftz.f32 %rf, %af, %bf;", 1, 0, 0, 0},
        {"abs.f32 %rf, %af;", bits(-1.5f), 0, 0, bits(1.5f)},
        {"neg.f32 %rf, %af;", 0, 0, 0, bits(-0.0f)},
        {"neg.f64 %rd, %ad;", bits(1.0), 0, 0, bits(-1.0)},
        {"abs.ftz.f32 %rf, %af;", 1, 0, 0, 0},
        {"copysign.f32 %rf, %af, %bf;", bits(-1.0f), bits(2.0f), 0, bits(-2.0f)},
        {"copysign.f64 %rd, %ad, %bd;", bits(1.0), bits(-2.0), 0, bits(2.0)},
    });
}

TEST(PtxHalves) {
    const uint64_t half = 0x3800, one = 0x3c00, two = 0x4000, nan = 0x7e00, most = 0x7bff;
    ROWS({
        {"add.f16 %r16, %a16, %b16;", one, one, 0, two},
        {"add.rn.f16 %r16, %a16, %b16;", one, 0x1000, 0, one},
        {"add.sat.f16 %r16, %a16, %b16;", one, one, 0, one},
        {"sub.f16 %r16, %a16, %b16;", one, half, 0, half},
        {"mul.f16 %r16, %a16, %b16;", half, half, 0, 0x3400},
        {"mul.ftz.f16 %r16, %a16, %b16;", 0x0001, one, 0, 0},
        {"mul.f16 %r16, %a16, %b16;", 0x0001, one, 0, 1},
        {"mul.f16 %r16, %a16, %b16;", most, two, 0, 0x7c00},
        {"fma.rn.f16 %r16, %a16, %b16, %c16;", one, two, half, 0x4100},
        {"fma.rn.f16 %r16, %a16, %b16, %c16;", 0x3c01, 0x3c01, 0xbc02, 0x0010},
        {"neg.f16 %r16, %a16;", one, 0, 0, 0xbc00},
        {"abs.f16 %r16, %a16;", 0xbc00, 0, 0, one},
        {"min.f16 %r16, %a16, %b16;", nan, one, 0, one},
        {"max.NaN.f16 %r16, %a16, %b16;", nan, one, 0, 0x7fff},
        {"add.f16x2 %r32, %a32, %b32;", 0x3c004000, 0x3c003c00, 0, 0x40004200},
        {"mul.f16x2 %r32, %a32, %b32;", 0x40003c00, 0x38003c00, 0, 0x3c003c00},
        {"fma.rn.f16x2 %r32, %a32, %b32, %c32;", 0x40003c00, 0x40004000, 0x3c003c00, 0x45004200},
        {"max.f16x2 %r32, %a32, %b32;", 0x40003c00, 0x3c004000, 0, 0x40004000},
        {"neg.f16x2 %r32, %a32;", 0x40003c00, 0, 0, 0xc000bc00},
        {"ex2.approx.f16 %r16, %a16;", one, 0, 0, two},
        {"tanh.approx.f16x2 %r32, %a32;", 0, 0, 0, 0},
        {"cvt.f32.f16 %rf, %a16;", 0x3c01, 0, 0, bits(1.0f + 0x1p-10f)},
        {"cvt.f32.f16 %rf, %a16;", 0x0001, 0, 0, bits(0x1p-24f)},
        {"cvt.f64.f16 %rd, %a16;", two, 0, 0, bits(2.0)},
        {"cvt.rn.f16.f32 %r16, %af;", bits(1.0f + 0x1p-11f), 0, 0, one},
        {"cvt.rn.f16.f32 %r16, %af;", bits(1.0f + 0x3p-11f), 0, 0, 0x3c02},
        {"cvt.rp.f16.f32 %r16, %af;", bits(1.0f + 0x1p-20f), 0, 0, 0x3c01},
        {"cvt.rz.f16.f32 %r16, %af;", bits(70000.0f), 0, 0, most},
        {"cvt.rn.f16.f32 %r16, %af;", bits(65520.0f), 0, 0, 0x7c00},
        {"cvt.rn.f16.f32 %r16, %af;", bits(65519.0f), 0, 0, most},
        {"cvt.rn.f16.f32 %r16, %af;", bits(NAN), 0, 0, 0x7fff},
        {"cvt.rm.f16.f32 %r16, %af;", bits(-1e-10f), 0, 0, 0x8001},
        {"cvt.rn.f16.f64 %r16, %ad;", bits(1.0 + 0x1p-11), 0, 0, one},
        {"cvt.rn.f16.f64 %r16, %ad;", bits(1.0 + 0x1p-11 + 0x1p-40), 0, 0, 0x3c01},
        {"cvt.rp.f16.f64 %r16, %ad;", bits(1e-300), 0, 0, 1},
        {"cvt.rn.f16.s32 %r16, %a32;", 0xfffffffe, 0, 0, 0xc000},
        {"cvt.rn.f16.u64 %r16, %a64;", ~0ull, 0, 0, 0x7c00},
        {"cvt.rzi.s32.f16 %r32, %a16;", 0xc100, 0, 0, 0xfffffffe},
        {"cvt.rni.f16.f16 %r16, %a16;", 0x4100, 0, 0, two},
        {"cvt.sat.rn.f16.f32 %r16, %af;", bits(3.0f), 0, 0, one},
        {"cvt.rn.f16.s64 %r16, %a64;", ~0ull - 2047, 0, 0, 0xe800},
        {"cvt.rn.f16x2.f32 %r32, %af, %bf;", bits(2.0f), bits(1.0f), 0, 0x40003c00},
    });
}

TEST(PtxConversions) {
    ROWS({
        {"cvt.s64.s32 %r64, %a32;", 0xffffffff, 0, 0, ~0ull},
        {"cvt.u64.u32 %r64, %a32;", 0xffffffff, 0, 0, 0xffffffff},
        {"cvt.s64.u32 %r64, %a32;", 0xffffffff, 0, 0, 0xffffffff},
        {"cvt.u32.u64 %r32, %a64;", 0x1234567890ull, 0, 0, 0x34567890},
        {"cvt.s32.s8 %r32, %a16;", 0x12ff, 0, 0, 0xffffffff},
        {"cvt.s32.u8 %r32, %a16;", 0x12ff, 0, 0, 0xff},
        {"cvt.s32.s8 %r32, %a32;", 0x80, 0, 0, 0xffffff80},
        {"cvt.u8.u32 %r16, %a32;", 0x1234, 0, 0, 0x34},
        {"cvt.s8.s32 %r16, %a32;", 0x80, 0, 0, 0xff80},
        {"cvt.u32.s16 %r32, %a16;", 0x8000, 0, 0, 0xffff8000},
        {"cvt.s16.s32 %r16, %a32;", 0x18000, 0, 0, 0x8000},
        {"cvt.sat.u8.s32 %r16, %a32;", 300, 0, 0, 255},
        {"cvt.sat.u8.s32 %r16, %a32;", 0xffffffff, 0, 0, 0},
        {"cvt.sat.s8.s32 %r16, %a32;", 0xfffffe00, 0, 0, 0xff80},
        {"cvt.sat.s16.u32 %r16, %a32;", 0xffffffff, 0, 0, 0x7fff},
        {"cvt.sat.s32.s64 %r32, %a64;", 1ull << 40, 0, 0, 0x7fffffff},
        {"cvt.sat.s32.s64 %r32, %a64;", ~0ull << 40, 0, 0, 0x80000000},
        {"cvt.sat.u64.s32 %r64, %a32;", 0xffffffff, 0, 0, 0},
        {"cvt.sat.s64.u64 %r64, %a64;", ~0ull, 0, 0, ~0ull >> 1},
        {"cvt.sat.u32.s32 %r32, %a32;", 7, 0, 0, 7},
        {"cvt.rzi.s32.f32 %r32, %af;", bits(-1.9f), 0, 0, 0xffffffff},
        {"cvt.rni.s32.f32 %r32, %af;", bits(2.5f), 0, 0, 2},
        {"cvt.rni.s32.f32 %r32, %af;", bits(3.5f), 0, 0, 4},
        {"cvt.rmi.s32.f32 %r32, %af;", bits(-1.1f), 0, 0, 0xfffffffe},
        {"cvt.rpi.s32.f32 %r32, %af;", bits(1.1f), 0, 0, 2},
        {"cvt.rzi.s32.f32 %r32, %af;", bits(3e9f), 0, 0, 0x7fffffff},
        {"cvt.rzi.s32.f32 %r32, %af;", bits(-INFINITY), 0, 0, 0x80000000},
        {"cvt.rzi.s32.f32 %r32, %af;", bits(NAN), 0, 0, 0},
        {"cvt.rzi.u32.f32 %r32, %af;", bits(-5.0f), 0, 0, 0},
        {"cvt.rzi.u32.f32 %r32, %af;", bits(4e9f), 0, 0, 4000000000u},
        {"cvt.rzi.u32.f32 %r32, %af;", bits(5e9f), 0, 0, 0xffffffff},
        {"cvt.rzi.u8.f32 %r16, %af;", bits(300.0f), 0, 0, 255},
        {"cvt.rzi.s8.f32 %r16, %af;", bits(-300.0f), 0, 0, 0xff80},
        {"cvt.rzi.u16.f32 %r16, %af;", bits(65535.5f), 0, 0, 65535},
        {"cvt.rzi.s64.f32 %r64, %af;", bits(NAN), 0, 0, 1ull << 63},
        {"cvt.rzi.u64.f64 %r64, %ad;", bits(1e19), 0, 0, 10000000000000000000ull},
        {"cvt.rzi.u64.f64 %r64, %ad;", bits(2e19), 0, 0, ~0ull},
        {"cvt.rzi.s64.f64 %r64, %ad;", bits(-1e30), 0, 0, 1ull << 63},
        {"cvt.rzi.s32.f64 %r32, %ad;", bits((double)NAN), 0, 0, 0x80000000},
        {"cvt.rzi.s32.f64 %r32, %ad;", bits(2147483647.9), 0, 0, 0x7fffffff},
        {"cvt.rzi.ftz.s32.f32 %r32, %af;", 1, 0, 0, 0},
        {"cvt.rpi.s32.f32 %r32, %af;", 1, 0, 0, 1},
        {"cvt.rpi.ftz.s32.f32 %r32, %af;", 1, 0, 0, 0},
        {"cvt.rn.f32.s32 %rf, %a32;", 0x01000001, 0, 0, bits(16777216.0f)},
        {"cvt.rp.f32.s32 %rf, %a32;", 0x01000001, 0, 0, bits(16777218.0f)},
        {"cvt.rz.f32.u32 %rf, %a32;", 0xffffffff, 0, 0, bits(4294967040.0f)},
        {"cvt.rn.f32.u64 %rf, %a64;", ~0ull, 0, 0, bits(0x1p64f)},
        {"cvt.rz.f32.u64 %rf, %a64;", ~0ull, 0, 0, bits(0x1p64f - 0x1p40f)},
        {"cvt.rm.f32.s64 %rf, %a64;", ~0ull << 62 | 1, 0, 0, bits(-0x1p62f)},
        {"cvt.rn.f64.s32 %rd, %a32;", 0xffffffff, 0, 0, bits(-1.0)},
        {"cvt.rz.f64.u64 %rd, %a64;", ~0ull, 0, 0, bits(0x1p64 - 0x1p11)},
        {"cvt.f64.f32 %rd, %af;", bits(1.5f), 0, 0, bits(1.5)},
        {"cvt.rn.f32.f64 %rf, %ad;", bits(1.0 + 0x1p-24), 0, 0, bits(1.0f)},
        {"cvt.rp.f32.f64 %rf, %ad;", bits(1.0 + 0x1p-24), 0, 0, bits(1.0f + 0x1p-23f)},
        {"cvt.rz.f32.f64 %rf, %ad;", bits(1e300), 0, 0, bits(FLT_MAX)},
        {"cvt.rn.ftz.f32.f64 %rf, %ad;", bits(1e-40), 0, 0, 0},
        {"cvt.rni.f32.f32 %rf, %af;", bits(2.5f), 0, 0, bits(2.0f)},
        {"cvt.rmi.f64.f64 %rd, %ad;", bits(-2.5), 0, 0, bits(-3.0)},
        {"cvt.rzi.f32.f32 %rf, %af;", bits(-0.5f), 0, 0, bits(-0.0f)},
        {"cvt.sat.f32.f32 %rf, %af;", bits(NAN), 0, 0, 0},
        {"cvt.ftz.f32.f32 %rf, %af;", 1, 0, 0, 0},
    });
}
