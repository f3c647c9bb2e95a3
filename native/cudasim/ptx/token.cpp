#include "token.h"

#include "error.h"

#include <cctype>
#include <cstdlib>
#include <cstring>

namespace sim::ptx {
namespace {

bool startsWord(char c) { return std::isalpha((unsigned char)c) || c == '_' || c == '$' || c == '%'; }
bool inWord(char c) { return std::isalnum((unsigned char)c) || c == '_' || c == '$'; }

class Reader {
public:
    explicit Reader(const std::string& text) : text_(text) {}

    Tokens read() {
        while (skipBlanks()) {
            const char c = text_[at_];
            if (startsWord(c)) word(Token::Word);
            else if (c == '.' && inWord(peek(1))) word(Token::Dotted);
            else if (std::isdigit((unsigned char)c)) number();
            else if (c == '"') quoted();
            else if (std::strchr("{}[]()<>,;:+-*/|!@=~&^", c)) add(Token::Sign, at_ + 1);
            else throw Error(line_, std::string("the character '") + c + "' has no place in PTX");
        }

        tokens_.list.push_back({Token::End, "the end of the text", 0, line_});
        return std::move(tokens_);
    }

private:
    char peek(size_t ahead) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

    // Past blanks and comments; false at the end.
    bool skipBlanks() {
        while (at_ < text_.size()) {
            if (text_[at_] == '\n') {
                line_++;
                at_++;
            } else if (std::isspace((unsigned char)text_[at_])) {
                at_++;
            } else if (text_[at_] == '/' && peek(1) == '/') {
                size_t end = text_.find('\n', at_);
                if (end == std::string::npos) end = text_.size();
                if (peek(2) == '@') tokens_.remarks.push_back({line_, text_.substr(at_ + 3, end - at_ - 3)});
                at_ = end;
            } else if (text_[at_] == '/' && peek(1) == '*') {
                size_t end = text_.find("*/", at_ + 2);
                if (end == std::string::npos) throw Error(line_, "a comment without end");
                for (; at_ < end + 2; at_++)
                    if (text_[at_] == '\n') line_++;
            } else {
                return true;
            }
        }

        return false;
    }

    void add(Token::Kind kind, size_t end, unsigned long long value = 0) {
        tokens_.list.push_back({kind, text_.substr(at_, end - at_), value, line_});
        at_ = end;
    }

    // The word behind "::" belongs to the modifier before it, as in .shared::cta.
    void word(Token::Kind kind) {
        size_t end = at_ + 1;
        while (end < text_.size() && (inWord(text_[end]) || (kind == Token::Dotted && !text_.compare(end, 2, "::"))))
            end += text_[end] == ':' ? 2 : 1;
        add(kind, end);
    }

    void quoted() {
        size_t end = text_.find('"', at_ + 1);
        if (end == std::string::npos) throw Error(line_, "a text without its closing quote");
        add(Token::Quoted, end + 1);
    }

    void number() {
        const char* start = text_.c_str() + at_;
        char* end = nullptr;
        if (start[0] == '0' && std::strchr("fFdD", start[1]) && start[1]) {
            const bool isSingle = start[1] == 'f' || start[1] == 'F';
            const size_t digits = isSingle ? 8 : 16;
            const std::string hex(start + 2, strnlen(start + 2, digits));
            unsigned long long bits = std::strtoull(hex.c_str(), &end, 16);
            if (hex.size() != digits || *end || inWord(start[2 + digits]))
                throw Error(line_, "a number in hexadecimal that has not " + std::to_string(digits) + " digits");
            add(isSingle ? Token::Single : Token::Double, at_ + 2 + digits, bits);
            return;
        }

        size_t digits = std::strspn(start, "0123456789");
        if (start[digits] == '.' || ((start[digits] == 'e' || start[digits] == 'E') && start[1] != 'x')) {
            double value = std::strtod(start, &end);
            unsigned long long bits;
            std::memcpy(&bits, &value, sizeof bits);
            add(Token::Double, at_ + (size_t)(end - start), bits);
            return;
        }

        const bool binary = start[0] == '0' && (start[1] == 'b' || start[1] == 'B');
        unsigned long long value = std::strtoull(binary ? start + 2 : start, &end, binary ? 2 : 0);
        if (*end == 'U') end++;
        if (inWord(*end)) throw Error(line_, "a number that goes on with '" + std::string(1, *end) + "'");
        add(Token::Integer, at_ + (size_t)(end - start), value);
    }

    const std::string& text_;
    size_t at_ = 0;
    int line_ = 1;
    Tokens tokens_;
};

}  // namespace

Tokens tokenize(const std::string& text) { return Reader(text).read(); }

}  // namespace sim::ptx
