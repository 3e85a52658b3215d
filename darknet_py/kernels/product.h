// Products of matrices in blocks that stay in the registers.
#pragma once
#include "vector.h"

// What a product takes along the depth at once: a float, or two 16-bit numbers.
template <class Number>
struct Unit {
  typedef float type;
  static constexpr int count = 1;
};
template <>
struct Unit<Bfloat16> {
  typedef int32_t type;
  static constexpr int count = 2;
};

inline Vector multiply_add(Vector sum, float a, Vector b) { return sum + a * b; }

#if defined(__AVX512BF16__)
inline Vector multiply_add(Vector sum, int32_t a, Vector b) {
  return (Vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(a), (__m512bh)b);
}
#endif

// What a product is added to: sums, rows of PANEL columns, or part of a map, or nothing.
template <class Number>
struct Start {
  const float* sums = nullptr;
  const Number* map = nullptr;
  long pitch = 0;  // of the map
  Lanes lanes[2] = {Lanes(0), Lanes(0)};
};

// Sums that more will be added to, or that are looked at later: rows of PANEL columns.
struct Keep {
  float* sums;
  void put(long row, int column, Vector v) const { store(sums + row * PANEL + column * WIDTH, v); }
};

// A matrix in memory; the pitch is the way from row to row.
template <class A>
struct Rows {
  const A* a;
  long pitch;
  A at(int row, long k) const { return a[row * pitch + k]; }
  int pieces() const { return 1; }
  Rows piece(int) const { return *this; }
};

// Rows `from` on of a[..][depth] * b[depth][vectors * WIDTH] + start; `a` begins with the first of them. It may
// lie in pieces of that depth, side by side.
template <int rows, int vectors, class Matrix, class Number, class Goal>
inline void multiply_block(const Matrix& a, const float* b, long depth, long from,
                           const Start<Number>& start, const Goal& goal) {
  Vector sum[rows][vectors];
#pragma GCC unroll 32
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
    for (int j = 0; j < vectors; j++)
      sum[i][j] = start.sums ? load(start.sums + (from + i) * PANEL + j * WIDTH) : Vector{};
  if (start.map) {
#pragma GCC unroll 32
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
      for (int j = 0; j < vectors; j++)
        sum[i][j] = load(start.map + (from + i) * start.pitch + j * WIDTH, start.lanes[j]);
  }
  for (int p = 0; p < a.pieces(); p++, b += depth * vectors * WIDTH) {
    auto piece = a.piece(p);
    for (long k = 0; k < depth; k++) {
      Vector row[vectors];
#pragma GCC unroll 2
      for (int j = 0; j < vectors; j++) row[j] = load(b + (k * vectors + j) * WIDTH);
#pragma GCC unroll 32
      for (int i = 0; i < rows; i++) {
        auto value = piece.at(i, k);
#pragma GCC unroll 2
        for (int j = 0; j < vectors; j++) sum[i][j] = multiply_add(sum[i][j], value, row[j]);
      }
    }
  }
  const Goal to = goal;  // what is written is none of its own
#pragma GCC unroll 32
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
    for (int j = 0; j < vectors; j++) to.put(from + i, j, sum[i][j]);
}

template <int vectors, int rows, class Matrix, class Number, class Goal>
void multiply_rows(int count, const Matrix& a, const float* b, long depth, long from,
                   const Start<Number>& start, const Goal& goal) {
  if constexpr (rows > 0) {
    if (count == rows)
      multiply_block<rows, vectors>(a, b, depth, from, start, goal);
    else
      multiply_rows<vectors, rows - 1>(count, a, b, depth, from, start, goal);
  }
}

// What will be read next, and had better come from memory while something is computed.
struct Ahead {
  const void* start;
  long bytes;

  // One of `parts`.
  void fetch(int part, int parts) const {
    auto from = (const char*)start + bytes * part / parts;
    for (auto p = from; p < (const char*)start + bytes * (part + 1) / parts; p += 64)
      __builtin_prefetch(p, 0, 2);
  }
};

// The product for any number of rows and a panel of at most PANEL columns, plus what it starts with; the
// pitch is in units.
template <class Number, class Goal>
void multiply(int rows, const Number* a, long pitch, const Number* panel, int columns, long depth,
              const Start<Number>& start, const Goal& goal, Ahead ahead) {
  typedef typename Unit<Number>::type A;
  int blocks = (rows + ROWS - 1) / ROWS;
  for (int i = 0; i < blocks; i++) {
    int from = rows * i / blocks, count = rows * (i + 1) / blocks - from;
    Rows<A> first = {(const A*)a + from * pitch, pitch};
    auto b = (const float*)panel;
    ahead.fetch(i, blocks);
    if (columns > WIDTH)
      multiply_rows<2, ROWS>(count, first, b, depth, from, start, goal);
    else
      multiply_rows<1, ROWS>(count, first, b, depth, from, start, goal);
  }
}
