// Whether the kernels do on this processor what they should: sums of ones.
#pragma once
#include "dense.h"
#include "depthwise.h"
#include "picture.h"
#include "windows.h"
#include "winograd.h"

namespace check {

inline void set(float& to, float value) { to = value; }
inline void set(Bfloat16& to, float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  to.bits = bits >> 16;
}
inline float get(float value) { return value; }
inline float get(Bfloat16 value) {
  uint32_t bits = (uint32_t)value.bits << 16;
  float found;
  memcpy(&found, &bits, 4);
  return found;
}

// 3 x 3 windows of a map of ones, 5 x 20 pixels, weights of 1, biases of -4; with leaky.
template <class Number>
static bool is_right(int kind, void (*run)(const Call&)) {
  constexpr int most = 36, filters = 36, height = 5, width = 20;
  static Number x[most * height * width], y[filters * height * width];
  static Number half[filters * most * 9], packed[2 * filters * most * 32];
  static float ones[filters * most * 9], room[2 * filters * most * 32], biases[64];
  for (auto& value : x) set(value, 1);
  for (auto& value : half) set(value, 1);
  for (auto& value : ones) value = 1;
  for (auto& value : biases) value = -4;
  Call c = {};
  int channels = kind == PICTURE ? 3 : most;
  c.x = kind == PICTURE ? (const void*)ones : x, c.y = y, c.x_pitch = channels, c.y_pitch = filters;
  c.kind = kind, c.batch = 1, c.channels = channels, c.filters = filters, c.size = 3;
  c.height = c.out_height = height, c.width = c.out_width = width, c.biases = biases;
  c.stride_x = c.stride_y = c.padding = c.dilation = c.threads = 1, c.first = LEAKY;
  c.weights = room;
  if (kind == WINOGRAD) {
    winograd::pack(c, ones, room);
    winograd::expand(c, room, packed);
    c.expanded = packed;
  } else if (kind == DEPTHWISE) {
    depthwise::pack(c, ones, room);
  } else if (kind == PICTURE && sizeof(Number) == 4) {
    dense::pack(c, ones, room);
#if defined(__AVX512BF16__)
  } else if (kind == PICTURE) {
    c.half = 1;
    picture::pack(c, (const Bfloat16*)half, (Bfloat16*)packed);
    c.weights = packed;
#endif
  } else {
    dense::pack(c, half, packed);
    c.weights = packed;
  }
  run(c);
  for (int i = 0; i < filters * height * width; i++) {
    int column = i / filters % width, row = i / filters / width;
    int taps = (row % (height - 1) ? 3 : 2) * (column % (width - 1) ? 3 : 2);
    float wanted = taps * (kind == DEPTHWISE ? 1 : channels) - 4;
    float off = get(y[i]) - wanted;
    if (!(off <= wanted / 100 && -off <= wanted / 100)) return false;
  }
  return true;
}

}  // namespace check
