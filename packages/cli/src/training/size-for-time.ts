/**
 * @file The size of a run whose time is given, and what twice the time would buy. Both follow from measured curves, see "What a minute buys" in
 * docs/results.md.
 */
import { type RunOptions, SIZES, type Size, type TimedSteps } from '@blt-ts/blt';
import { counted, humanBytes } from '../terminal/human-units.ts';

/** The sizes that were measured with the present recipe, from the smallest. */
const CHOICES: readonly Size[] = SIZES.filter((size) => size !== 'base');

/**
 * Bytes of text from which on a larger size may learn more. Over a megabyte sixteen passes of nano are as good as twelve of tiny, and take less
 * time. Where between one and ten megabytes that ends was not measured.
 */
const TEXT_FOR_LARGER = 4e6;

/** The size that is too large for so much text; null: none is. */
export const tooLargeFor = (trainBytes: number): Size | null => (trainBytes < TEXT_FOR_LARGER ? CHOICES[1] : null);

/** Mean bytes per patch of a run that cannot read its data as often as usual: longer patches are cheaper, so that it reads more. */
const LONGER_PATCHES = 6;

/** Options that the size decides. Somebody who names one of them decides by himself. */
const DECIDED = [
  'size',
  'from',
  'initGlobal',
  'localWidth',
  'localHeads',
  'encoderLayers',
  'decoderLayers',
  'globalWidth',
  'globalHeads',
  'globalLayers',
  'k',
  'hashVocab',
  'entropyWidth',
  'entropyHeads',
  'entropyLayers',
  'rowBytes',
  'patchesPerRow',
  'batchRows',
  'accumulation',
  'lr',
] as const satisfies readonly (keyof RunOptions)[];

/** Whether the size may follow from the time. */
export const choosesSize = (options: RunOptions): boolean => DECIDED.every((name) => options[name] === undefined);

/** The steps of a run of some size: how many fit into the time, and how many are good for its data. */
export interface FittingSteps extends Pick<TimedSteps, 'usual' | 'enough'> {
  readonly fit: number;
}

/** Nearly all of the steps are all of them: times are estimates. */
export const covers = (fit: number, steps: number): boolean => fit >= 0.9 * steps;

/** A size, and how often the run of it reads its data. */
export interface ChosenSize {
  readonly size: Size;
  /** As often as pays before a larger size is worth more. */
  readonly isEnough: boolean;
  /** As often as a run whose time is not given, or more. */
  readonly isUsual: boolean;
}

/**
 * The largest size that reads its data often enough in the time. Where none does it is the smallest: after as many bytes all sizes are about
 * as good, and the smallest reads the most.
 * @param below take only sizes that are smaller than this one
 */
export function sizeForTime(stepsOf: (size: Size) => FittingSteps, below: Size | null = null): ChosenSize {
  const sizes = below === null ? CHOICES : CHOICES.slice(0, CHOICES.indexOf(below));
  for (const size of [...sizes].reverse()) {
    const { fit, enough } = stepsOf(size);
    if (covers(fit, enough)) return { size, isEnough: true, isUsual: true };
  }
  const { fit, usual } = stepsOf(CHOICES[0]);
  return { size: CHOICES[0], isEnough: false, isUsual: covers(fit, usual) };
}

/** The options of a run of this size. Patches are longer where the time is too short for all data, unless their size is given. */
export const withSize = (options: RunOptions, { size, isUsual }: ChosenSize): RunOptions => {
  const free = (options.patchingMode ?? 'entropy') === 'entropy' && options.patchSize === undefined;
  const longer = free && !isUsual && options.threshold === undefined;
  return { ...options, size, ...(longer && { patchSize: LONGER_PATCHES }) };
};

/**
 * Bits per byte after so many bytes of text that is not read twice: 1.30 + 0.381 MB^-0.40. The constants are those of English speeches, so only
 * ratios are of use for other texts.
 */
export const lawOfBytes = (bytes: number): number => 1.3 + 0.381 * (bytes / 1e6) ** -0.4;

/** Share of its bits per byte that a run loses which reads twice as many bytes. */
export const gainOfTwice = (bytes: number): number => 1 - lawOfBytes(2 * bytes) / lawOfBytes(bytes);

/** From two passes on twice as many take off 1.2 to 0.7 % each time. */
const MORE_PASSES = 'reads the data more often and takes off about 1 % of the bits per byte';

/** Why a run has its size, and what twice the time would buy, in words. */
export interface SizeInWords {
  readonly size: Size;
  readonly why: string;
  readonly twice: string;
}

/** Numbers of a run whose time is given. */
export interface TimedRun {
  /** Bytes that it reads, repeats counted. */
  readonly bytesSeen: number;
  /** The same for the longest run that has something to gain. */
  readonly mostBytes: number;
  /** Bytes of the data. */
  readonly trainBytes: number;
  readonly minutes: number;
}

export function sizeInWords({ size, isEnough }: ChosenSize, run: TimedRun): SizeInWords {
  const { bytesSeen, mostBytes, trainBytes, minutes } = run;
  const larger = CHOICES[CHOICES.indexOf(size) + 1];
  const time = counted(minutes, 'minute');
  const twiceTheText = `twice the text would take off about ${percent(gainOfTwice(trainBytes))}`;
  if (!isEnough) {
    const passes = bytesSeen / trainBytes;
    const read =
      passes < 1
        ? `${humanBytes(bytesSeen)} of the ${humanBytes(trainBytes)}`
        : `${passes.toFixed(1)} passes over the data`;
    return {
      size,
      why: `${size}, because ${time} ${minutes === 1 ? 'is' : 'are'} enough for ${read}, and a larger size would read less`,
      twice:
        passes < 1
          ? `reads twice as much and takes off about ${percent(gainOfTwice(bytesSeen))} of the bits per byte`
          : MORE_PASSES,
    };
  }
  if (tooLargeFor(trainBytes) === larger) {
    const text = humanBytes(trainBytes);
    const next = covers(bytesSeen, mostBytes) ? 'nothing' : MORE_PASSES;
    return { size, why: `${size}, because larger sizes learn no more from ${text}`, twice: `${next}; ${twiceTheText}` };
  }
  const why = larger
    ? `${size}, the largest size that reads the data as often as pays in ${time}`
    : `${size}, the largest size whose curve is known; it reads the data only as often as pays`;
  const next = larger ? `the next size, ${larger}, which takes off less than 1 % of the bits per byte` : 'nothing';
  return { size, why, twice: `${next}; ${twiceTheText}` };
}

const percent = (share: number): string => `${Math.max(1, Math.round(100 * share))} %`;
