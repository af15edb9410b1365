/** @file The first four claims of the pre-registration: bits per byte, training FLOPs and inference FLOPs. */

import type { Claim, Decision, Finding } from './claim.ts';
import { flopsInWords, need } from './evidence.ts';
import { withInterval } from './intervals-in-words.ts';
import {
  bpbOf,
  bpbRatio,
  computeMultiplier,
  type Estimate,
  intervalAt,
  type Line,
  leastSquares,
  type Point,
  redrawn,
  resample,
  resampled,
} from './statistics.ts';

/** BLT where a claim says BLT: patches by entropy. */
export const BLT = 'BLT entropy';
const [SMALL, MIDDLE, LARGE] = [6e12, 1.5e13, 3.5e13];

const parity: Claim = {
  number: 1,
  title: 'Equal bits per byte at equal training FLOPs',
  needs: ['token', BLT].flatMap((arm) => [SMALL, LARGE].map((flops) => need('ladder', arm, flops))),
  tuned: ['token', BLT],
  find(evidence) {
    const [token, blt] = [need('ladder', 'token', LARGE), need('ladder', BLT, LARGE)];
    const ratio = bpbRatio(evidence.point(blt), evidence.point(token));
    const tokens = evidence.frontier(token);
    const before = computeMultiplier(evidence.point({ ...blt, flops: SMALL }), tokens);
    const after = computeMultiplier(evidence.point(blt), tokens);
    const falls = before !== null && after !== null && after.value < before.value;
    return {
      figure: `ratio ${withInterval(ratio, 3)} at ${flopsInWords(LARGE)} FLOPs`,
      notes: [
        before === null || after === null
          ? 'The line of the token model does not fall, so there is no compute multiplier.'
          : `The compute multiplier is ${withInterval(before, 2)} at ${flopsInWords(SMALL)} FLOPs and ${withInterval(after, 2)} at ${flopsInWords(LARGE)}.`,
      ],
      decide(error) {
        const { low, high } = intervalAt(ratio, error);
        if (high <= 1.02) return 'confirmed';
        return low > 1.02 && !falls ? 'refuted' : 'open';
      },
    };
  },
};

const ORDER = [BLT, 'BLT space', 'BLT static', 'byte'];

const order: Claim = {
  number: 2,
  title: 'Entropy patches before space, static patches and bytes',
  needs: ORDER.flatMap((arm) => [MIDDLE, LARGE].map((flops) => need('ladder', arm, flops))),
  tuned: ORDER,
  find(evidence) {
    const pairs = [MIDDLE, LARGE].flatMap((flops) =>
      ORDER.slice(1).map((worse, i) => {
        const point = (arm: string) => evidence.point(need('ladder', arm, flops));
        const name = `${ORDER[i]} to ${worse} at ${flopsInWords(flops)}`;
        return { name, ratio: bpbRatio(point(ORDER[i]), point(worse)) };
      }),
    );
    const ties = pairs.filter(({ ratio: { low, high } }) => low <= 1 && high >= 1);
    return {
      figure: `of ${pairs.length} pairs of neighbours ${pairs.filter(({ ratio }) => ratio.high < 1).length} are in this order and ${pairs.filter(({ ratio }) => ratio.low > 1).length} in the opposite one`,
      notes: [
        ...pairs.map(({ name, ratio }) => `${name} ${withInterval(ratio, 3)}.`),
        ...(ties.length === 0 ? [] : [`Ties: ${ties.map(({ name }) => name).join(', ')}.`]),
      ],
      decide(error) {
        const intervals = pairs.map(({ ratio }) => intervalAt(ratio, error));
        if (intervals.every(({ high }) => high < 1)) return 'confirmed';
        return intervals.some(({ low }) => low > 1) ? 'refuted' : 'open';
      },
    };
  },
};

const SIZES = [3, 4.5, 6, 8].map((bytes) => `patches of ${bytes} bytes`);

/** FLOPs per byte of a point. */
const costOf = ({ runs: [{ result }] }: Point, withPatcher: boolean): number =>
  result.flopsPerByte.model + (withPatcher ? result.flopsPerByte.patcher : 0);

const share = (draws: Float64Array, holds: (x: number) => boolean): string =>
  `${((100 * draws.filter(holds).length) / draws.length).toFixed(0)} %`;

const inference: Claim = {
  number: 3,
  title: 'Fewer inference FLOPs at equal bits per byte',
  needs: ['token', ...SIZES].map((arm) => need('patch-size', arm, MIDDLE)),
  tuned: [],
  find(evidence) {
    const token = evidence.point(need('patch-size', 'token', MIDDLE));
    const sizes = SIZES.map((arm) => ({ arm, point: evidence.point(need('patch-size', arm, MIDDLE)) }));
    /** The cheapest that is as good as the token model. */
    const best = (bpb: (point: Point) => number) =>
      sizes
        .filter(({ point }) => bpb(point) <= bpb(token))
        .sort((a, b) => costOf(a.point, true) - costOf(b.point, true))[0];
    const quotient = (found: ReturnType<typeof best> | undefined, withPatcher = true): number =>
      found === undefined ? Number.POSITIVE_INFINITY : costOf(found.point, withPatcher) / costOf(token, true);
    const found: ReturnType<typeof best> | undefined = best(({ bitsPerByte }) => bitsPerByte);
    const count = token.runs[0].result.documents.length;
    const estimate = resampled(quotient(found), (random) => {
      const documents = redrawn(count, random);
      const drawn = new Map([token, ...sizes.map(({ point }) => point)].map((p) => [p, resample(p.runs, random)]));
      return quotient(best((point) => bpbOf(drawn.get(point)!, documents)));
    });
    const clock = (point: Point) => point.runs[0].result.millisecondsPerByte;
    return {
      figure:
        found === undefined
          ? `no patch size reaches the ${token.bitsPerByte.toFixed(4)} bits per byte of the token model at ${flopsInWords(MIDDLE)} FLOPs`
          : `${found.arm}: ${quotient(found).toFixed(3)} of the token model's FLOPs per byte, ${quotient(found, false).toFixed(3)} without the entropy model, ${(clock(found.point) / clock(token)).toFixed(2)} of its milliseconds`,
      notes: [
        `Of the resamples, ${share(estimate.draws, (x) => x <= 0.8)} give 0.8 or less and ${share(estimate.draws, (x) => x >= 1)} give 1 or more or no patch size.`,
      ],
      decide: () => (estimate.value <= 0.8 ? 'confirmed' : estimate.value >= 1 ? 'refuted' : 'open'),
    };
  },
};

const GROWN = 'patches of 8 bytes, 256 x 4';

/** Slope of log bits per byte on log training bytes, and the line through the points. */
function slopeOf(points: readonly Point[]): { readonly line: Line; readonly slope: Estimate } {
  const x = points.map(({ runs: [{ result }] }) => Math.log10(result.bytesSeen));
  const line = leastSquares(
    x,
    points.map(({ bitsPerByte }) => Math.log10(bitsPerByte)),
  )!;
  const count = points[0].runs[0].result.documents.length;
  const slope = resampled(line.slope, (random) => {
    const documents = redrawn(count, random);
    const y = points.map(({ runs }) => Math.log10(bpbOf(resample(runs, random), documents)));
    return leastSquares(x, y)!.slope;
  });
  return { line, slope };
}

const growth: Claim = {
  number: 4,
  title: 'Patch and model grow together at fixed inference FLOPs',
  needs: ['token', GROWN].flatMap((arm) => [SMALL, MIDDLE, LARGE].map((flops) => need('fixed-inference', arm, flops))),
  tuned: [],
  find(evidence): Finding {
    const points = (arm: string) => evidence.frontier(need('fixed-inference', arm, LARGE));
    const [token, grown] = [slopeOf(points('token')), slopeOf(points(GROWN))];
    const crossing = 10 ** ((token.line.intercept - grown.line.intercept) / (grown.line.slope - token.line.slope));
    const steeper = grown.slope.value < token.slope.value;
    return {
      figure: `slope ${withInterval(grown.slope, 4)} for patches of 8 bytes, ${withInterval(token.slope, 4)} for tokens`,
      notes: [
        steeper
          ? `The lines cross at ${(crossing / 1e6).toPrecision(2)} MB of training text.`
          : 'The lines do not come nearer to each other.',
      ],
      decide(error): Decision {
        if (!steeper) return 'refuted';
        return intervalAt(grown.slope, error).high < intervalAt(token.slope, error).low ? 'confirmed' : 'open';
      },
    };
  },
};

/** Claims 1 to 4. */
export const CLAIMS_AT_EQUAL_FLOPS: readonly Claim[] = [parity, order, inference, growth];
