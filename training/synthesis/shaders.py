# SPDX-License-Identifier: Apache-2.0
"""GLSL sources of the renderer."""

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
in vec3 position; in vec3 normal; in vec2 uv; in vec2 region;
uniform vec3 shift; uniform float focal; uniform vec2 principal; uniform vec2 depth_range;
out vec3 view_point; out vec3 view_normal; out vec2 texel; out vec3 in_shadow_map; out vec2 zone;
"""
    + _PLACE
    + """
void main() {
  vec3 turned = rotation * (position - centre), q = turned + shift;
  view_point = q; view_normal = rotation * normal; texel = uv; zone = region;
  float depth = -q.z, near = depth_range.x, far = depth_range.y;
  gl_Position = vec4(focal * q.xy + principal * depth,
    ((far + near) * depth - 2.0 * far * near) / (far - near), depth);
  in_shadow_map = shadow_point(turned) * 0.5 + 0.5;
}
"""
)

# LOOK (renderer.Look) and SHADOWED (0 or 1) are put in at compile time: a software rasteriser
# executes both sides of a branch, so that what a material does not need must not be there.
SURFACE_FRAGMENT = """#version 330
#define LOOK %d
#define SHADOWED %d
in vec3 view_point; in vec3 view_normal; in vec2 texel; in vec3 in_shadow_map; in vec2 zone;
uniform sampler2D texture0; uniform sampler2D shadow_map; uniform sampler2D noise_map;
uniform vec3 tint; uniform vec2 gloss; uniform float alpha_cut; uniform float opacity;
uniform vec4 detail; uniform float beard; uniform float make_up; uniform vec3 lip_colour;
uniform vec3 hair_colour;
uniform vec3 light_direction[3]; uniform vec3 light_colour[3];
uniform vec3 ambient_low; uniform vec3 ambient_high; uniform vec3 up;
uniform float shadow; uniform int light_count;
out vec4 pixel;

float lit() {  // share of the first light that arrives, from four taps of the shadow map
#if !SHADOWED
  return 1.0;
#else
  float sum = 0.0;
  for (int i = 0; i < 4; i++) {
    vec2 tap = vec2(float(i & 1) - 0.5, float(i >> 1) - 0.5) * 0.006;
    sum += (1.0 - in_shadow_map.z) - 0.012 < texture(shadow_map, in_shadow_map.xy + tap).r ? 0.25 : 0.0;
  }
  return mix(1.0, sum, shadow);
#endif
}

void main() {
  vec4 base = texture(texture0, texel);
#if LOOK == 1
  // Hair ends in single strands: a threshold dithered over the screen keeps them thin.
  float dither = fract(52.9829189 * fract(dot(gl_FragCoord.xy, vec2(0.06711056, 0.00583715))));
  if (base.a < mix(alpha_cut, opacity, dither)) discard;
#elif LOOK == 2 || LOOK == 3
  if (base.a < alpha_cut) discard;
#endif
  vec3 N = normalize(view_normal), V = normalize(-view_point);
  if (dot(N, V) < 0.0) N = -N;
  vec3 albedo = base.rgb * base.rgb;  // close enough to sRGB, and cheap
  float strength = gloss.x;
#if LOOK == 0
  vec4 coarse = texture(noise_map, texel * detail.x * 0.5 + detail.ww * 3.7) - 0.5;
  vec4 fine = texture(noise_map, texel * 7.0 + detail.ww) - 0.5;
  albedo *= tint * (1.0 + 2.0 * detail.y * (coarse.x + 0.5 * fine.y));
  N = normalize(N + detail.z * 1.5 * vec3(fine.zw, 0.0));
  albedo = mix(albedo, lip_colour, make_up * zone.y);
  strength += make_up * zone.y * 0.5;
  // Beard: hairs are dark grains whose density falls off toward the region's edge.
  float grain = texture(noise_map, texel * 30.0 + detail.w).x;
  float reach = smoothstep(0.1, 0.9, zone.x + (coarse.z + 0.5 * fine.x) * 0.9 * zone.x);
  float density = beard * reach;
  float hairs = smoothstep(1.0 - density, 1.35 - density, grain + 0.35 * density);
  albedo = mix(albedo, hair_colour * (0.5 + grain), density * (0.25 + 0.75 * hairs));
  strength *= 1.0 - 0.7 * density;
#elif LOOK == 1
  float light = dot(base.rgb, vec3(0.3, 0.59, 0.11));
  albedo = tint * (0.35 + 2.2 * light) + albedo * 0.08;
#else
  albedo *= tint;
#endif
  vec3 colour = albedo * mix(ambient_low, ambient_high, 0.5 + 0.5 * dot(N, up));
  float facing = max(dot(N, V), 0.0);
#if LOOK == 0
  vec3 wrap = vec3(0.32, 0.2, 0.14);  // light bleeds through skin, red the most
#elif LOOK == 1
  vec3 wrap = vec3(0.35);
#else
  vec3 wrap = vec3(0.05);
#endif
  float first = lit(), rim = (1.0 - facing) * (1.0 - facing);
  for (int i = 0; i < light_count; i++) {
    vec3 L = light_direction[i];
    float cosine = dot(N, L);
    vec3 diffuse = max((vec3(cosine) + wrap) / (1.0 + wrap), 0.0);
    vec3 H = normalize(V + L);
    float highlight = pow(max(dot(N, H), 0.0), gloss.y) * strength * step(0.0, cosine);
    highlight *= 0.25 + 0.75 * rim * rim;
    colour += (i == 0 ? first : 1.0) * light_colour[i] * (albedo * diffuse + highlight);
  }
#if LOOK == 4
  pixel = vec4(sqrt(colour + ambient_high * 0.25 * rim), opacity);
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
