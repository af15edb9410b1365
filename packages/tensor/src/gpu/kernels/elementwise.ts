/** @file Kernels that compute each element from the elements of its own place. */
import { type KernelSource, kernel } from '../kernel-source.ts';
import { naturalLog } from './log.ts';
import { strided } from './strided.ts';

/**
 * sin v (phase 0) or cos v (phase 1). pi/2 = 1.5703125 + 0.000483751296997 + 7.5497899e-8: the first two have so few bits that
 * their products with the number of quarter turns are exact. On [-pi/4, pi/4] the series to v^9 and v^10 is exact in 32 bits.
 * The shader's own functions err by up to 4e-3.
 */
const wave = (phase: 0 | 1): string => `
    const turns = Math.floor(v * 0.636619772 + 0.5);
    const r = ((v - turns * 1.5703125) - turns * 0.000483751296997) - turns * 0.000000075497899;
    const z = r * r;
    const quarter = turns + ${phase} - 4 * Math.floor((turns + ${phase}) * 0.25);
    if (quarter === 1 || quarter === 3) {
      y = 1 + z * (-0.5 + z * (0.04166666667 + z * (-0.001388888889 + z * (0.00002480158730 - z * 0.0000002755731922))));
    } else {
      y = r * (1 + z * (-0.1666666667 + z * (0.008333333333 + z * (-0.0001984126984 + z * 0.000002755731922))));
    }
    if (quarter > 1.5) {
      y = -y;
    }`;

/**
 * Below 1 the continued fraction x/(1 + x^2/(3 + x^2/(5 + ...))) cut after 13 (Lambert 1768), above 1 - 2/(e^2x + 1).
 * The shader's own function is NaN from 50 on in some drivers.
 */
const tanh = `
    const a = Math.abs(v);
    let t = 1;
    if (a < 1) {
      const z = a * a;
      t = a * (135135 + z * (17325 + z * (378 + z))) / (135135 + z * (62370 + z * (3150 + z * 28)));
    } else {
      if (a > 20) {
        t = 1;
      } else {
        t = 1 - 2 / (Math.exp(2 * a) + 1);
      }
    }
    y = t;
    if (v < 0) {
      y = -t;
    }`;

const sign = `
    y = v;
    if (v > 0) {
      y = 1;
    }
    if (v < 0) {
      y = -1;
    }`;

/** As the WebAssembly does it: see wasm/assembly/elementwise/. */
const erf = `
    const a = Math.abs(v);
    const z = v * v;
    if (a > 0.927734375) {
      const high = (-0.0000172853470 * a + 0.000383197126) * z + (-0.00388396438 * a + 0.0242546219);
      const q = ((high * a - 0.106777877) * a - 0.634846687) * a - 0.128717512;
      let t = 1;
      if (a < 4) { t = 1 - Math.exp(q * a - a); }
      y = t;
      if (v < 0) { y = -t; }
    } else {
      const low = ((-0.000596761703 * z + 0.00499119423) * z - 0.0267681349) * z + 0.112819925;
      y = v + v * ((low * z - 0.376125336) * z + 0.128379166);
    }`;

const truncated = `
    if (v > 0) { y = Math.floor(v); }
    if (v < 0) { y = Math.ceil(v); }`;

const unary = (name: string, body: string): KernelSource =>
  kernel(name, 'line', { arrays: 'x' }, `const v = x[I];\n    ${body}`);

export const unarySources = {
  neg: unary('neg', 'y = -v;'),
  exp: unary('exp', 'y = Math.exp(v);'),
  log: unary('log', naturalLog('v')),
  sqrt: unary('sqrt', 'y = Math.sqrt(v);'),
  reciprocal: unary('reciprocal', 'y = 1 / v;'),
  sin: unary('sin', wave(0)),
  cos: unary('cos', wave(1)),
  tanh: unary('tanh', tanh),
  sigmoid: unary('sigmoid', 'y = 1 / (1 + Math.exp(-v));'),
  abs: unary('abs', 'y = Math.abs(v);'),
  sign: unary('sign', sign),
  erf: unary('erf', erf),
  toI32: unary('toI32', truncated),
  toF32: unary('toF32', 'y = v;'),
};

/** Statements that set y from the operands p and q. */
const binaryBodies = {
  add: 'y = p + q;',
  sub: 'y = p - q;',
  mul: 'y = p * q;',
  div: 'y = p / q;',
  // Where neither comparison holds one operand is NaN; the shader's max and min may drop it.
  maximum: 'if (p > q) { y = p; } else { if (q >= p) { y = q; } else { y = p + q; } }',
  minimum: 'if (p < q) { y = p; } else { if (q <= p) { y = q; } else { y = p + q; } }',
  greater: 'if (p > q) { y = 1; }',
  equal: 'if (p === q) { y = 1; }',
  notEqual: 'y = 1; if (p === q) { y = 0; }',
};

export type BinaryName = keyof typeof binaryBodies;

const whereBody = 'if (c !== 0) { y = p; } else { y = q; }';

const binaryNames = Object.keys(binaryBodies) as BinaryName[];

const perBinary = (make: (name: BinaryName) => KernelSource) =>
  Object.fromEntries(binaryNames.map((name) => [name, make(name)])) as Record<BinaryName, KernelSource>;

/** Both operands along one line; a step of 0 repeats a scalar. */
export const binaryLine = perBinary((name) =>
  kernel(
    name,
    'line',
    { arrays: 'a b', integers: 'aStep bStep' },
    `const p = a[I * aStep]; const q = b[I * bStep]; ${binaryBodies[name]}`,
  ),
);

export const binaryStrided = perBinary((name) =>
  strided(
    `${name}Strided`,
    [
      ['a', 'p'],
      ['b', 'q'],
    ],
    binaryBodies[name],
  ),
);

export const whereStrided = strided(
  'whereStrided',
  [
    ['k', 'c'],
    ['a', 'p'],
    ['b', 'q'],
  ],
  whereBody,
);

export const affine = kernel('affine', 'line', { arrays: 'x', floats: 'scale shift' }, 'y = x[I] * scale + shift;');

/**
 * hash32(seed, i) of ../hash32.ts in 32-bit integers, which wrap around in WGSL and in WebAssembly, compared with the rate
 * times 2^32 in two halves, since there is no unsigned comparison.
 */
export const dropout = kernel(
  'dropout',
  'line',
  { arrays: 'x', integers: 'seed high low', floats: 'scale' },
  `const h1 = hash(hash(I + -1640531527) ^ seed) >>> 16;
    const h0 = hash(hash(I + -1640531527) ^ seed) & 65535;
    if (h1 > high || (h1 === high && h0 >= low)) {
      y = x[I] * scale;
    }`,
  [
    'function hash(v) { return last(second(first(v))); }',
    'function first(v) { return (v ^ (v >>> 16)) * 569420461; }',
    'function second(v) { return (v ^ (v >>> 15)) * -749064809; }',
    'function last(v) { return v ^ (v >>> 15); }',
  ],
);

export const swiGlu = kernel('swiGlu', 'line', { arrays: 'a b' }, 'y = a[I] / (1 + Math.exp(-a[I])) * b[I];');

const gate = 'const s = 1 / (1 + Math.exp(-a[I]));';

export const swiGluGate = kernel(
  'swiGluGate',
  'line',
  { arrays: 'a b g' },
  `${gate} y = g[I] * b[I] * s * (1 + a[I] * (1 - s));`,
);

export const swiGluUp = kernel('swiGluUp', 'line', { arrays: 'a g' }, `${gate} y = g[I] * a[I] * s;`);
