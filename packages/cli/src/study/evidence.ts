/** @file The finished runs that a verdict rests on, and those that it lacks. */
import { type Measure, type Measured, measureName } from './measure.ts';
import { type Planned, secondsOf } from './planned-time.ts';
import { finishedRuns, type Results } from './results.ts';
import type { RunConfig } from './run-config.ts';
import { type FinishedRun, frontier, groupBy, type Point } from './statistics.ts';

/** FLOPs at which the main families are tuned. */
const TUNING_FLOPS = 2.5e12;
/** Rates that are tried for each. */
const TUNED_RATES = 3;

/** Runs that a claim needs: those of an arm at one budget, on the registered text. */
export interface Need {
  readonly experiment: string;
  readonly arm: string;
  readonly kind: RunConfig['kind'];
  readonly corpus: string;
  readonly flops: number;
  readonly measures: readonly Measure[];
}

/** The arms of main families, which are tuned. */
const kindOf = (arm: string): RunConfig['kind'] => (/^(token|byte)/.test(arm) ? 'token' : 'patch');

/** Runs of an arm without measures. */
export const need = (experiment: string, arm: string, flops: number, given: Partial<Need> = {}): Need => ({
  ...{ experiment, arm, flops, kind: kindOf(arm), corpus: 'sotu', measures: [] },
  ...given,
});

const listed = (items: readonly string[]): string => [...new Set(items)].join(', ').replace(/, ([^,]*)$/, ' and $1');

/** `token at 6e12 and 3.5e13 FLOPs (ladder)`, for needs that differ in budget and text alone. */
function needsInWords(needs: readonly Need[]): string {
  const [{ experiment, arm }] = needs;
  const texts = needs.map(({ corpus }) => corpus).filter((corpus) => corpus !== 'sotu' && corpus !== experiment);
  const on = texts.length === 0 ? '' : ` on ${listed(texts)}`;
  return `${arm} at ${listed(needs.map(({ flops }) => flopsInWords(flops)))} FLOPs${on} (${experiment})`;
}

/** `3.5e13`. */
export const flopsInWords = (flops: number): string => flops.toExponential().replace('e+', 'e');

/** Finished runs by experiment and arm. */
export class Evidence {
  private readonly results: Results;

  constructor(results: Results) {
    this.results = results;
  }

  /** The runs of an arm on a text. */
  runs({ experiment, arm, corpus }: Pick<Need, 'experiment' | 'arm' | 'corpus'>): FinishedRun[] {
    const listed = this.results.experiments.find(({ name }) => name === experiment);
    if (listed === undefined) return [];
    return finishedRuns(listed, this.results).filter((run) => run.arm === arm && run.config.corpus === corpus);
  }

  /** The best points of an arm at each budget. */
  frontier = (given: Pick<Need, 'experiment' | 'arm' | 'corpus'>): Point[] => frontier(this.runs(given));

  private find(given: Need): Point | undefined {
    const runs = this.runs(given).filter(({ config }) => config.flops === given.flops);
    return frontier(runs)[0];
  }

  /** The best point of an arm at one budget. It must not be missing. */
  point(given: Need): Point {
    return this.find(given)!;
  }

  /** A measure of the first run of a point. It must not be missing. */
  measured<K extends Measured['kind']>(given: Need, kind: K): Extract<Measured, { kind: K }> {
    const [{ measures = {} }] = this.point(given).runs;
    const wanted = given.measures.map(measureName);
    return Object.entries(measures).find(
      ([name, found]) => wanted.includes(name) && found.kind === kind,
    )![1] as Extract<Measured, { kind: K }>;
  }

  /** Those of the runs that are not done or not measured. */
  missing(needs: readonly Need[]): Need[] {
    return needs.filter((one) => {
      const found = this.find(one);
      return found === undefined || one.measures.some((m) => found.runs[0].measures?.[measureName(m)] === undefined);
    });
  }

  /** The missing runs in words, and the hours that they take on one core. */
  toDo(missing: readonly Need[]): { readonly names: string[]; readonly hours: number } {
    const done = Object.values(this.results.runs);
    const seconds = (one: Need): number => {
      const rest: Planned = { config: one, trains: this.find(one) === undefined, measures: one.measures };
      return secondsOf(rest, done);
    };
    const alike = groupBy(missing, ({ experiment, arm }) => `${experiment} ${arm}`);
    return {
      names: [...alike.values()].map(needsInWords),
      hours: missing.reduce((sum, one) => sum + seconds(one), 0) / 3600,
    };
  }

  /**
   * The reason why the tuning of an arm forbids a verdict; null if its best rate has a lower and a higher one beside it. A size that was
   * tried at three rates or more shows it.
   */
  untuned(arm: string): string | null {
    const tried = this.runs({ experiment: 'ladder', arm, corpus: 'sotu' }).filter(
      ({ config }) => config.flops === TUNING_FLOPS,
    );
    const sizes = groupBy(tried, ({ config }) => JSON.stringify({ ...config, lr: null, seed: null }));
    const swept = [...sizes.values()].find((runs) => new Set(runs.map(({ config }) => config.lr)).size >= TUNED_RATES);
    if (swept === undefined)
      return `Three rates of ${arm} at ${flopsInWords(TUNING_FLOPS)} FLOPs (ladder) are not done.`;
    const rates = [...new Set(swept.map(({ config }) => config.lr))].sort((a, b) => a - b);
    const best = frontier(swept)[0].runs[0].config.lr;
    if (best > rates[0] && best < rates.at(-1)!) return null;
    const end = best === rates[0] ? 'lowest' : 'highest';
    return `The best rate of ${arm}, ${best}, is the ${end} that was tried, so the sweep must be extended first.`;
  }
}
