/** @file From logits to the next byte: greedy, or drawn with temperature, top-k, top-p and min-p. */
import { naturalExp } from '@blt-ts/tensor';

/** How an id is drawn from logits. */
export interface SamplingOptions {
  /** Logits are divided by it; 0 = greedy (default 1). */
  readonly temperature?: number;
  /** Keep the topK highest logits and all that tie with the last of them. null: all. */
  readonly topK?: number | null;
  /** Nucleus: 0 < topP <= 1, of the classes that topK has left where both are set. null: off. */
  readonly topP?: number | null;
  /** Drop classes whose probability is below minP times the largest one, 0 .. 1; also with topK or topP. null: off. */
  readonly minP?: number | null;
}

/** Index of the highest logit, the first one among equals. @throws RangeError if there is none */
export function argmax(logits: Float32Array): number {
  let best = -1;
  let highest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i];
    if (logit > highest) {
      highest = logit;
      best = i;
    }
    if (!(logit < Number.POSITIVE_INFINITY)) {
      throw new RangeError(`argmax: logit ${i} is ${logit}, logits must be finite or -Infinity`);
    }
  }
  if (best < 0) throw new RangeError(`argmax: none of the ${logits.length} classes can be chosen`);
  return best;
}

/**
 * Draws one class from softmax(logits / temperature), restricted by topK, then topP, then minP, and renormalised.
 *
 * - topK: classes below the topK-th highest logit are dropped; ties with it stay.
 * - topP: in order of falling probability, a class is dropped if the mass BEFORE it exceeds topP (so the first always
 *   stays, and the one that crosses topP does too). Equal probabilities: lower index first. The mass is that of the
 *   classes that topK has left, renormalised.
 * - minP: a class is dropped if its probability is below minP times that of the most probable one.
 *
 * The draw inverts the cumulative distribution in index order with one uniform number, in float64.
 * @param logits [V], -Infinity bans a class   @param uniform numbers in [0, 1); not called when greedy
 * @returns index 0 .. V-1
 * @see Holtzman et al. 2020 (top-p); Fan et al. 2018 (top-k); Nguyen et al. 2024, arXiv 2407.01082 (min-p)
 * @throws RangeError if a parameter is out of range, a logit is NaN or +Infinity, or every class is banned
 */
export function sampleLogits(logits: Float32Array, options: SamplingOptions, uniform: () => number): number {
  const { temperature = 1, topK = null, topP = null, minP = null } = options;
  validateSampling({ temperature, topK, topP, minP });
  const best = argmax(logits);
  if (temperature === 0) return best;
  const V = logits.length;
  // Softmax without its denominator; the drawn number is scaled by the kept mass instead.
  const weights = weightsOf(V);
  const highest = logits[best];
  for (let i = 0; i < V; i++) weights[i] = naturalExp((logits[i] - highest) / temperature);
  if (topK !== null && topK < V) {
    const last = logits.slice().sort()[V - topK];
    for (let i = 0; i < V; i++) if (logits[i] < last) weights[i] = 0;
  }
  // All the mass there is keeps every class, so nothing need be sorted.
  if (topP !== null && topP < 1) keepNucleus(weights, topP);
  // The most probable class has the weight 1.
  if (minP !== null) for (let i = 0; i < V; i++) if (weights[i] < minP) weights[i] = 0;
  let mass = 0;
  for (let i = 0; i < V; i++) mass += weights[i];
  let left = uniform() * mass;
  let drawn = best;
  for (let i = 0; i < V; i++) {
    if (weights[i] === 0) continue;
    drawn = i; // rounding may leave a rest after the last kept class: then it is that class
    left -= weights[i];
    if (left < 0) break;
  }
  return drawn;
}

let memory = new Float64Array(0);

/** Room for the weights of `count` classes, the same for every draw: a byte is drawn in a few microseconds. */
function weightsOf(count: number): Float64Array {
  if (memory.length !== count) memory = new Float64Array(count);
  return memory;
}

/** Sets to 0 every weight whose predecessors in falling order hold more than topP of the mass. */
function keepNucleus(weights: Float64Array, topP: number): void {
  const order = Array.from(weights, (_, i) => i).sort((a, b) => weights[b] - weights[a] || a - b);
  let mass = 0;
  for (const i of order) mass += weights[i];
  let before = 0;
  for (const i of order) {
    const w = weights[i];
    if (before > topP * mass) weights[i] = 0;
    before += w;
  }
}

/** @throws RangeError naming the first parameter that is out of range; for checking a request before generating */
export function validateSampling({ temperature = 1, topK = null, topP = null, minP = null }: SamplingOptions): void {
  if (!(temperature >= 0) || !Number.isFinite(temperature)) {
    throw new RangeError(`sampling: temperature must be a finite number >= 0, got ${temperature}; 0 means greedy`);
  }
  if (topK !== null && (!Number.isInteger(topK) || topK < 1)) {
    throw new RangeError(`sampling: topK must be an integer >= 1, got ${topK}; leave it out to keep all classes`);
  }
  if (topP !== null && !(topP > 0 && topP <= 1)) {
    throw new RangeError(`sampling: topP must be above 0 and at most 1, got ${topP}; leave it out to keep all classes`);
  }
  if (minP !== null && !(minP >= 0 && minP <= 1)) {
    throw new RangeError(`sampling: minP must be 0 .. 1, got ${minP}; leave it out to keep all classes`);
  }
}
