#include "gemm.h"

#include <algorithm>
#include <cstring>

namespace sim {
namespace {

// A tile of the result that the compiler keeps in vector registers.
constexpr int64_t tileRows = 6;
constexpr int64_t tileColumns = 32;

// Part of the sums that a pass over the panels takes: its slice of the right-hand operand stays in the cache.
constexpr int64_t depth = 256;

template <int64_t ROWS>
void tile(int64_t count, const float* a, const float* b, float* c, int64_t columns, int64_t stride) {
    float sums[ROWS][tileColumns] = {};
    for (int64_t p = 0; p < count; p++) {
        for (int64_t i = 0; i < ROWS; i++) {
            float left = a[p * ROWS + i];
            for (int64_t j = 0; j < tileColumns; j++) {
                sums[i][j] += left * b[p * tileColumns + j];
            }
        }
    }

    for (int64_t i = 0; i < ROWS; i++) {
        for (int64_t j = 0; j < columns; j++) {
            c[i * stride + j] += sums[i][j];
        }
    }
}

// Rows [first, first + ROWS) and columns [from, from + count) of a, column by column.
template <int64_t ROWS>
void packRows(const Matrix& a, int64_t first, int64_t from, int64_t count, float* packed) {
    for (int64_t p = 0; p < count; p++) {
        for (int64_t i = 0; i < ROWS; i++) {
            packed[p * ROWS + i] = load(a.data, a.isHalf, (first + i) * a.rowStride + (from + p) * a.columnStride);
        }
    }
}

template <int64_t ROWS>
void rows(const Matrix& a, int64_t first, int64_t from, int64_t count, const PackedMatrix& b, float* c, float* packed) {
    packRows<ROWS>(a, first, from, count, packed);
    for (int64_t column = 0; column < b.n; column += tileColumns) {
        const float* panel = b.panels.data() + column * b.k + from * tileColumns;
        tile<ROWS>(count, packed, panel, c + first * b.n + column, std::min(tileColumns, b.n - column), b.n);
    }
}

}  // namespace

PackedMatrix::PackedMatrix(const Matrix& b, int64_t k, int64_t n) : k(k), n(n), panels((n + tileColumns - 1) / tileColumns * tileColumns * k) {
    for (int64_t column = 0; column < n; column += tileColumns) {
        float* panel = panels.data() + column * k;
        for (int64_t p = 0; p < k; p++) {
            for (int64_t j = 0; j < std::min(tileColumns, n - column); j++) {
                panel[p * tileColumns + j] = load(b.data, b.isHalf, p * b.rowStride + (column + j) * b.columnStride);
            }
        }
    }
}

void multiply(const Matrix& a, int64_t m, const PackedMatrix& b, float* c) {
    std::fill(c, c + m * b.n, 0.0f);
    std::vector<float> packed(tileRows * depth);
    for (int64_t from = 0; from < b.k; from += depth) {
        int64_t count = std::min(depth, b.k - from), row = 0;
        for (; row + tileRows <= m; row += tileRows) {
            rows<tileRows>(a, row, from, count, b, c, packed.data());
        }

        for (; row < m; row++) {
            rows<1>(a, row, from, count, b, c, packed.data());
        }
    }
}

}  // namespace sim
