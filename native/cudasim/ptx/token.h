// PTX text as tokens.
#pragma once

#include <string>
#include <vector>

namespace sim::ptx {

struct Token {
    enum Kind {
        Word,      // add, %r1, L_12
        Dotted,    // .global, with its dot
        Integer,   // 12, 0x1F, 12U
        Single,    // 0f3F800000: the bits of a float
        Double,    // 0d3FF0000000000000 or 1.5: the bits of a double
        Quoted,    // "text"
        Sign,      // one character
        End
    };
    Kind kind;
    std::string text;
    unsigned long long value = 0;
    int line = 0;
};

/// A comment "//@word …" that our compiler left for the simulator.
struct Remark {
    int line;
    std::string text;
};

struct Tokens {
    std::vector<Token> list;  // ends with End
    std::vector<Remark> remarks;
};

Tokens tokenize(const std::string& text);

}  // namespace sim::ptx
