/** @file The last three claims of the pre-registration: noise, spelling and languages. */

import type { Claim } from './claim.ts';
import { BLT } from './claims-at-equal-flops.ts';
import { type Evidence, flopsInWords, need } from './evidence.ts';
import { ones, percent, withInterval } from './intervals-in-words.ts';
import { NEVER_SEEN, RARE } from './languages.ts';
import type { Measure, NoiseFigures } from './measure.ts';
import { groupOf } from './measure-tables.ts';
import type { DocumentScore } from './run-folders.ts';
import { type Estimate, intervalAt, redrawn, resample, resampled, spearman } from './statistics.ts';

const BUDGET = 6e12;
const NOISE: Measure = { kind: 'noise', excerpt_bytes: 4096, items: 400 };
const noiseNeed = (arm: string) => need('robustness', arm, BUDGET, { measures: [NOISE] });

const perByte = (documents: readonly DocumentScore[], chosen: readonly number[]): number =>
  chosen.reduce((sum, i) => sum + documents[i].bits, 0) / chosen.reduce((sum, i) => sum + documents[i].bytes, 0);
const rightOf = (choices: string, chosen: readonly number[]): number =>
  chosen.filter((i) => choices[i] === '1').length / chosen.length;

/** How much more one model loses than another under a noise: in bits per original byte, and in right choices. */
interface LossDifference {
  readonly noise: string;
  readonly bits: Estimate;
  readonly choices: Estimate;
}

/** The differences under each noise, paired: both models have the same documents and items in each resample. */
function lossDifferences(of: readonly NoiseFigures[], to: readonly NoiseFigures[]): LossDifference[] {
  const named = (all: readonly NoiseFigures[], name: string) => all.find(({ noise }) => noise === name)!;
  return of
    .filter(({ noise }) => noise !== 'clean')
    .map(({ noise }) => {
      const [a, aClean, b, bClean] = [named(of, noise), named(of, 'clean'), named(to, noise), named(to, 'clean')];
      const bits = (i: readonly number[]) =>
        perByte(a.documents, i) - perByte(aClean.documents, i) - perByte(b.documents, i) + perByte(bClean.documents, i);
      const choices = (i: readonly number[]) =>
        rightOf(aClean.choices, i) - rightOf(a.choices, i) - rightOf(bClean.choices, i) + rightOf(b.choices, i);
      const estimate = (count: number, difference: (i: readonly number[]) => number) =>
        resampled(difference([...Array(count).keys()]), (random) => difference(redrawn(count, random)));
      return { noise, bits: estimate(a.documents.length, bits), choices: estimate(a.choices.length, choices) };
    });
}

/** Noises under which both losses are smaller, with intervals that exclude 0. */
const smaller = (differences: readonly LossDifference[], error: number): number =>
  differences.filter(({ bits, choices }) => intervalAt(bits, error).high < 0 && intervalAt(choices, error).high < 0)
    .length;
const larger = (differences: readonly LossDifference[]): number =>
  differences.filter(({ bits, choices }) => bits.value > 0 && choices.value > 0).length;

const noise: Claim = {
  number: 5,
  title: 'Robustness to noise',
  needs: ['token', BLT, 'byte'].map(noiseNeed),
  tuned: [],
  find(evidence) {
    const [token, blt, byte] = ['token', BLT, 'byte'].map((arm) => evidence.measured(noiseNeed(arm), 'noise').noises);
    const [toToken, toByte] = [lossDifferences(blt, token), lossDifferences(blt, byte)];
    const beside = smaller(toByte, 0.05);
    return {
      figure: `both losses smaller than those of tokens under ${smaller(toToken, 0.05)} of ${toToken.length} noises, larger under ${larger(toToken)}`,
      notes: [
        ...toToken.map(
          (one) =>
            `${one.noise}: ${withInterval(one.bits, 3)} bits per original byte, ${withInterval(one.choices, 3)} of the choices.`,
        ),
        beside >= 4
          ? `Both losses are smaller than those of the byte transformer too, under ${beside} noises.`
          : `Both losses are smaller than those of the byte transformer under ${beside} noises only${smaller(toToken, 0.05) >= 4 ? ', so the cause is bytes and not patches' : ''}.`,
      ],
      decide(error) {
        if (smaller(toToken, error) >= 4) return 'confirmed';
        return larger(toToken) >= 3 ? 'refuted' : 'open';
      },
    };
  },
};

const ITEMS = 3000;
const TASKS: Measure = { kind: 'tasks', items: ITEMS };
const SPELLERS = ['token', BLT, 'byte'];

/** Numbers of examples with a budget. */
interface Lesson {
  readonly examples: number;
  readonly flops: number;
}

const LESSONS: readonly Lesson[] = [100, 1000, 10_000, 100_000].map((examples) => ({ examples, flops: 2.5e12 }));
/** More of the same, which the claim does without while it is not done. */
const LONGER: readonly Lesson[] = [BUDGET, 1.5e13].map((flops) => ({ examples: 100_000, flops }));
const spellingNeed = (arm: string, { examples, flops }: Lesson) =>
  need('spelling', arm, flops, { corpus: `spelling-${examples}`, measures: [TASKS] });

/** Spelling of one arm after a lesson. */
function spellingOf(evidence: Evidence, arm: string, lesson: Lesson) {
  const { tasks } = evidence.measured(spellingNeed(arm, lesson), 'tasks');
  const named = (name: string) => tasks.find(({ task }) => task === name);
  const [unseen, read] = [named('spell')!, named('spell (read)')];
  const among = [...(read?.items ?? '')].filter((_, i) => read!.whole[i] === '1').join('');
  return { right: ones(unseen.items), of: unseen.items.length, read: percent(ones(among), among.length) };
}

const lessonInWords = ({ examples, flops }: Lesson): string => `${examples} examples and ${flopsInWords(flops)} FLOPs`;

const spelling: Claim = {
  number: 6,
  title: 'Spelling',
  needs: SPELLERS.flatMap((arm) => LESSONS.map((lesson) => spellingNeed(arm, lesson))),
  tuned: [],
  find(evidence) {
    const done = [...LESSONS, ...LONGER].filter(
      (lesson) => evidence.missing(SPELLERS.map((arm) => spellingNeed(arm, lesson))).length === 0,
    );
    const curve = done.map((lesson) => {
      const [token, blt, byte] = SPELLERS.map((arm) => spellingOf(evidence, arm, lesson));
      return { after: lessonInWords(lesson), token, blt, byte };
    });
    const best = curve.reduce((a, b) => (b.blt.right >= a.blt.right ? b : a));
    const { blt, token } = best;
    const words = (of: { right: number; of: number }) => percent(of.right, of.of);
    const last = curve.at(-1)!;
    return {
      figure: `${words(blt)} of words never seen, ${blt.of - blt.right} errors, after ${best.after}; tokens ${words(token)}`,
      notes: [
        ...curve.map(
          (one) =>
            `After ${one.after} BLT has ${words(one.blt)}, tokens have ${words(one.token)}, and bytes have ${words(one.byte)}.`,
        ),
        last.token.read === ''
          ? 'No word that was only read is one token.'
          : `Of words that were only read and are one token, tokens spell ${last.token.read} after ${last.after}.`,
      ],
      decide() {
        if (blt.of >= ITEMS && blt.of - blt.right <= 1 && token.right / token.of < blt.right / blt.of)
          return 'confirmed';
        return blt.right / blt.of < 0.99 ? 'refuted' : 'open';
      },
    };
  },
};

/** English, languages that are rare in training, and languages that are not in it. */
const LEVELS = [['en'], Object.keys(RARE), NEVER_SEEN];
const languageNeed = (arm: string) => need('languages', arm, BUDGET, { corpus: 'languages' });

const languages: Claim = {
  number: 7,
  title: 'Other languages',
  needs: ['token', BLT].map(languageNeed),
  tuned: [],
  find(evidence) {
    const documents = (arm: string) => evidence.point(languageNeed(arm)).runs[0].result.documents;
    const [token, blt] = [documents('token'), documents(BLT)];
    const ratio = (chosen: readonly number[]) => perByte(blt, chosen) / perByte(token, chosen);
    const levels = LEVELS.map((names) =>
      names.map((name) => ({ name, own: token.flatMap((one, i) => (groupOf(one.name) === name ? [i] : [])) })),
    );
    const correlation = (chosen: readonly (readonly number[])[][]) =>
      spearman(
        chosen.flatMap((all, level) => all.map(() => level)),
        chosen.flatMap((all) => all.map(ratio)),
      );
    const all = levels.map((of) => of.map(({ own }) => own));
    const rank = resampled(correlation(all), (random) =>
      correlation(all.map((of) => resample(of, random).map((own) => resample(own, random)))),
    );
    return {
      figure: `rank correlation ${withInterval(rank, 2)} of the ratio of bits per byte with rarity`,
      notes: [
        `The ratios are ${levels
          .flat()
          .map(({ name, own }) => `${name} ${ratio(own).toFixed(3)}`)
          .join(', ')}.`,
      ],
      decide(error) {
        if (intervalAt(rank, error).high < 0) return 'confirmed';
        return rank.value >= 0 ? 'refuted' : 'open';
      },
    };
  },
};

/** Claims 5 to 7. */
export const CLAIMS_ABOUT_TEXT: readonly Claim[] = [noise, spelling, languages];
