/** @file samples.jsonl of a run: what the model wrote, and after which step. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { readSmallFile } from '../files/small-file.ts';
import { reason, UserError } from '../terminal/errors.ts';

/** A text that the model wrote after a step. */
export interface Sample {
  readonly step: number;
  readonly prompt: string;
  readonly text: string;
}

/** The samples of a run, one a step: those of steps that are to be done again are forgotten. */
export class SamplesFile {
  readonly path: string;
  #samples: Sample[];

  /** @param step the step that the run goes on from */
  constructor(path: string, step: number) {
    this.path = path;
    this.#samples = readSamples(path).filter((sample) => sample.step <= step);
  }

  get samples(): readonly Sample[] {
    return this.#samples;
  }

  /** Keeps a sample, in the place of an earlier one of that step. @throws UserError if it cannot be written */
  add(sample: Sample): void {
    this.#samples = [...this.#samples.filter(({ step }) => step !== sample.step), sample];
    const temporary = `${this.path}.tmp-${process.pid}`;
    try {
      writeFileSync(temporary, this.#samples.map((one) => `${JSON.stringify(one)}\n`).join(''));
      renameSync(temporary, this.path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw new UserError(`cannot write ${this.path}: ${reason(error)}`, 1, { cause: error });
    }
  }
}

/** The samples of an earlier start; lines that are none are passed over. */
function readSamples(path: string): Sample[] {
  let text: string;
  try {
    text = readSmallFile(path);
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    try {
      const { step, prompt, text } = JSON.parse(line) as Sample;
      return typeof step === 'number' && typeof prompt === 'string' && typeof text === 'string'
        ? [{ step, prompt, text }]
        : [];
    } catch {
      return [];
    }
  });
}
