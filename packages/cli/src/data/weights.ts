/** @file Weights of sources: `--data a.txt=3 --data b` draws three rows of a.txt for each row of b. */
import { existsSync } from 'node:fs';
import { UserError } from '../terminal/errors.ts';
import { isGlob } from './glob.ts';
import { BOOK } from './moby-dick.ts';

/** The sources that `--data` names, and their weights; null where none was given: all text is one corpus. */
export interface WeightedSources {
  readonly sources: readonly string[];
  readonly weights: readonly number[] | null;
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/** Weights that can be added up and compared. */
const [LEAST, MOST] = [1e-9, 1e9];

/** The same number with one more digit, so that it is another text. */
const withZero = (text: string): string =>
  text.replace(/^[+-]?[\d.]+/, (digits) => (digits.includes('.') ? `${digits}0` : `${digits}.0`));

const isThere = (name: string): boolean => name === '-' || name === BOOK || existsSync(name);

/** The source and the weight of one argument; null: it has none. @throws UserError */
function weighted(argument: string): { source: string; weight: number | null } {
  const at = argument.lastIndexOf('=');
  const plain = { source: argument, weight: null };
  if (at < 0) return plain;
  const [source, text] = [argument.slice(0, at), argument.slice(at + 1)];
  if (existsSync(argument)) {
    if (!NUMBER.test(text) || !isThere(source)) return plain;
    throw new UserError(
      `--data ${argument} may be the file of that name, or ${source} with the weight ${text}; give ${argument}=1 for the file, or ${source}=${withZero(text)} for the weight`,
      2,
    );
  }
  if (!NUMBER.test(text)) {
    if (!isThere(source)) return plain;
    throw new UserError(`--data ${argument}: the weight '${text}' is not a number; give one above 0: ${source}=3`, 2);
  }
  if (source === '') throw new UserError(`--data ${argument} gives a weight to nothing; name a source before the =`, 2);
  const weight = Number(text);
  if (!(weight > 0)) {
    throw new UserError(
      `--data ${argument}: the weight ${text} must be a number above 0, because it is the share of rows from ${source}; leave the source out to read none of it`,
      2,
    );
  }
  if (weight < LEAST || weight > MOST) {
    throw new UserError(
      `--data ${argument}: the weight ${text} must be between ${LEAST} and ${MOST}, because no run draws enough rows for a share that is more uneven`,
      2,
    );
  }
  return { source, weight };
}

/**
 * Takes the weights off `--data` arguments. A source without one beside others that have one has the weight 1. What is a file or a pattern
 * as it stands is taken so, whatever characters its name has.
 * @throws UserError for a weight that is not a number above 0, and for an argument that may mean two things
 */
export function weightedSources(data: readonly string[]): WeightedSources {
  const all = data.map((argument) =>
    isGlob(argument.slice(argument.lastIndexOf('=') + 1)) ? { source: argument, weight: null } : weighted(argument),
  );
  const mixed = all.length > 1 && all.some(({ weight }) => weight !== null);
  return { sources: all.map(({ source }) => source), weights: mixed ? all.map(({ weight }) => weight ?? 1) : null };
}
