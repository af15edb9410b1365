/**
 * @file A text cut into patches in three ways: at spaces, at every fourth byte, and where the next byte is hard to guess. The guesses
 * come from counted pairs of bytes here. The real model that guesses is trained in train-blt.ts.
 * `node scripts/example.mjs patch-text` runs it from a checkout.
 */
import { calibrateThreshold, decode, encode, type PatchingOptions, patchLengths } from '@blt-ts/blt';

const TEXT = 'the cat sat on the mat and the rat sat on the hat that the cat had';
const ids = encode(TEXT, { bos: false });

// H[i] = -sum p ln p, where p is how often each byte followed byte i in this text: the entropy of the prediction after position i.
const followers = new Map<number, Map<number, number>>();
for (let i = 0; i + 1 < ids.length; i++) {
  const counts = followers.get(ids[i]) ?? new Map<number, number>();
  followers.set(ids[i], counts.set(ids[i + 1], (counts.get(ids[i + 1]) ?? 0) + 1));
}
const entropies = Float32Array.from(ids, (id) => {
  const counts = [...(followers.get(id)?.values() ?? [])];
  const total = counts.reduce((sum, n) => sum + n, 0);
  return -counts.reduce((sum, n) => sum + (n / total) * Math.log(n / total), 0);
});

/** The text in patches. */
export function patches(options: PatchingOptions): string[] {
  const lengths = patchLengths(ids, entropies, options, { includeNextToken: false });
  let at = 0;
  return [...lengths].map((length) => decode(ids.subarray(at, (at += length))));
}

// The threshold is the only free number. It is chosen so that a patch has 4 bytes on average.
export const calibration = calibrateThreshold([entropies], 4);
/** Each way of cutting, and its patches. */
export const ways: Record<string, string[]> = {
  space: patches({ mode: 'space' }),
  static: patches({ mode: 'static', patchSize: 4 }),
  entropy: patches({ mode: 'entropy', threshold: calibration.threshold, monotonic: false }),
};
export { TEXT };

for (const [way, list] of Object.entries(ways)) {
  console.log(`${way.padEnd(8)}${(TEXT.length / list.length).toFixed(2)} bytes a patch  ${list.join('|')}`);
}
