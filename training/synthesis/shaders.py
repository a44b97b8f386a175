# SPDX-License-Identifier: Apache-2.0
"""GLSL sources of the renderer.

Light is computed at the vertices: a head's triangles are two or three pixels wide, so the result
is the same, and a software rasteriser, which shades whole blocks of pixels for every triangle,
is much faster. LOOK (renderer.Look) and SHADOWED (0 or 1) are put in at compile time because such
a rasteriser executes both sides of a branch.
"""

from __future__ import annotations

_PLACE = """
uniform mat3 rotation; uniform vec3 centre;
uniform mat3 light_axes; uniform float shadow_reach; uniform float shadow_depth;
vec3 shadow_point(vec3 turned) {  // x, y in -1..1, z grows toward the light
  vec3 s = light_axes * turned;
  return vec3(s.xy / shadow_reach, s.z / shadow_depth);
}
"""

SURFACE_VERTEX = (
    """#version 330
#define LOOK %d
#define SHADOWED %d
in vec3 position; in vec3 normal; in vec2 uv; in vec4 region;
uniform vec3 shift; uniform float focal; uniform vec2 principal; uniform vec2 depth_range;
uniform int light_count; uniform vec3 light_direction[3]; uniform vec3 light_colour[3];
uniform vec3 ambient[9]; uniform vec2 gloss;
out vec2 texel; out vec3 zone; out vec3 diffuse; out vec3 highlight;
#if SHADOWED
out vec3 key_diffuse; out vec3 key_highlight; out vec3 in_shadow_map;
#endif
#if LOOK == 0
const vec3 wrap = vec3(0.32, 0.2, 0.14);  // light bleeds through skin, red the most
#elif LOOK == 1
const vec3 wrap = vec3(0.35);
#else
const vec3 wrap = vec3(0.05);
#endif
"""
    + _PLACE
    + """
vec3 around(vec3 n) {  // harmonics.py
  return max(ambient[0] + ambient[1] * n.x + ambient[2] * n.y + ambient[3] * n.z
    + ambient[4] * (n.x * n.y) + ambient[5] * (n.y * n.z) + ambient[6] * (3.0 * n.z * n.z - 1.0)
    + ambient[7] * (n.x * n.z) + ambient[8] * (n.x * n.x - n.y * n.y), 0.0);
}
void main() {
  vec3 turned = rotation * (position - centre), q = turned + shift;
  texel = uv; zone = region.xyz;
  float depth = -q.z, near = depth_range.x, far = depth_range.y;
  gl_Position = vec4(focal * q.xy + principal * depth,
    ((far + near) * depth - 2.0 * far * near) / (far - near), depth);

  vec3 N = normalize(rotation * normal), V = normalize(-q);
  if (dot(N, V) < 0.0) N = -N;  // hair and cloth have two sides
  float rim = 1.0 - max(dot(N, V), 0.0);
  rim *= rim;
#if LOOK == 0
  float open = region.w;  // to the light around: what folds and hollows leave of it
#else
  const float open = 1.0;
#endif
  diffuse = open * around(N);
  highlight = open * (0.02 + 0.25 * rim * rim) * min(3.0 * gloss.x, 1.0) * around(reflect(-V, N));
#if LOOK == 4
  highlight = 0.25 * rim * around(reflect(-V, N));
#endif
  for (int i = 0; i < light_count; i++) {
    vec3 L = light_direction[i];
    float cosine = dot(N, L);
    vec3 scattered = light_colour[i] * max((vec3(cosine) + wrap) / (1.0 + wrap), 0.0);
    float shine = pow(max(dot(N, normalize(V + L)), 0.0), gloss.y) * step(0.0, cosine);
    vec3 mirrored = light_colour[i] * shine * (0.25 + 0.75 * rim * rim) * gloss.x;
#if SHADOWED
    if (i == 0) { key_diffuse = scattered; key_highlight = mirrored; continue; }
#endif
    diffuse += scattered; highlight += mirrored;
  }
#if SHADOWED
  in_shadow_map = shadow_point(turned) * 0.5 + 0.5;
#endif
}
"""
)

SURFACE_FRAGMENT = """#version 330
#define LOOK %d
#define SHADOWED %d
in vec2 texel; in vec3 zone; in vec3 diffuse; in vec3 highlight;
#if SHADOWED
in vec3 key_diffuse; in vec3 key_highlight; in vec3 in_shadow_map;
#endif
uniform sampler2D texture0; uniform sampler2D shadow_map; uniform sampler2D noise_map;
uniform vec3 tint; uniform float alpha_cut; uniform float opacity; uniform float shadow;
uniform vec4 detail; uniform float beard; uniform vec3 hair_colour;
uniform float make_up; uniform vec3 lip_colour;
uniform float lid_shade; uniform float scalp; uniform vec3 lid_colour;
out vec4 pixel;

void main() {
  vec4 base = texture(texture0, texel);
#if LOOK == 1
  // Hair ends in single strands: a threshold dithered over the screen keeps them thin.
  float dither = fract(52.9829189 * fract(dot(gl_FragCoord.xy, vec2(0.06711056, 0.00583715))));
  if (base.a < mix(alpha_cut, opacity, dither)) discard;
#elif LOOK == 2 || LOOK == 3
  if (base.a < alpha_cut) discard;
#endif
  vec3 albedo = base.rgb * base.rgb;  // close enough to sRGB, and cheap
  float polish = 1.0;
#if LOOK == 0
  vec4 coarse = texture(noise_map, texel * detail.x * 0.5 + detail.ww * 3.7) - 0.5;
  vec4 fine = texture(noise_map, texel * 7.0 + detail.ww) - 0.5;
  albedo *= tint * (1.0 + 2.0 * detail.y * (coarse.x + 0.5 * fine.y) + detail.z * fine.z);
  albedo = mix(albedo, lip_colour, make_up * max(zone.y, 0.0));
  float crown = scalp * smoothstep(0.2, 0.9, -zone.y + 0.5 * (coarse.x + fine.x));
  albedo = mix(albedo, hair_colour, crown);
  albedo = mix(albedo, lid_colour, lid_shade * zone.z * (0.6 + 0.8 * coarse.y + 0.8 * fine.x));
  // Beard: hairs are dark grains whose density falls off toward the region's edge.
  float grain = texture(noise_map, texel * 30.0 + detail.w).x;
  float reach = smoothstep(0.1, 0.9, zone.x + (coarse.z + 0.5 * fine.x) * 0.9 * zone.x);
  float density = beard * reach;
  float hairs = smoothstep(1.0 - density, 1.35 - density, grain + 0.35 * density);
  albedo = mix(albedo, hair_colour * (0.5 + grain), density * (0.25 + 0.75 * hairs));
  polish = (1.0 + 2.0 * detail.z * fine.w + make_up * max(zone.y, 0.0)) * (1.0 - 0.7 * density);
#elif LOOK == 1
  float light = dot(base.rgb, vec3(0.3, 0.59, 0.11));
  albedo = tint * (0.35 + 2.2 * light) + albedo * 0.08;
#else
  albedo *= tint;
#endif
  vec3 colour = albedo * diffuse + polish * highlight;
#if SHADOWED
  float lit = 0.0;  // share of the first light that arrives, from four taps of the shadow map
  for (int i = 0; i < 4; i++) {
    vec2 tap = in_shadow_map.xy + vec2(float(i & 1) - 0.5, float(i >> 1) - 0.5) * 0.006;
    lit += (1.0 - in_shadow_map.z) - 0.012 < texture(shadow_map, tap).r ? 0.25 : 0.0;
  }
  colour += mix(1.0, lit, shadow) * (albedo * key_diffuse + polish * key_highlight);
#endif
#if LOOK == 4
  pixel = vec4(sqrt(colour), opacity);
#else
  pixel = vec4(sqrt(colour), 1.0);
#endif
}
"""

SHADOW_VERTEX = (
    """#version 330
in vec3 position; in vec2 uv; out vec2 texel;
"""
    + _PLACE
    + """
void main() {
  texel = uv;
  vec3 s = shadow_point(rotation * (position - centre));
  gl_Position = vec4(s.xy, -s.z, 1.0);
}
"""
)

SHADOW_FRAGMENT = """#version 330
in vec2 texel; uniform sampler2D texture0; uniform float alpha_cut;
void main() { if (texture(texture0, texel).a < alpha_cut) discard; }
"""
