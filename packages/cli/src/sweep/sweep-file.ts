/**
 * @file The file of `blt sweep`: options that all runs share in [base], and either a [grid] of which every combination is run, or a list of
 * [[run]]. Each part has the keys of a config file.
 */
import { checkConfig, fromToml, withDataSection } from '../config/config-file.ts';
import { flagOf, OPTIONS, type OptionRow } from '../config/options.ts';
import { readSmallFile } from '../files/small-file.ts';
import { reason, UserError } from '../terminal/errors.ts';

const MAX_SWEEP_BYTES = 1024 * 1024;
/** More runs than these are surely a mistake in a grid. */
const MOST_RUNS = 1000;
/** Longer names are cut, because a file system takes 255 bytes. */
const LONGEST_NAME = 120;

type Tree = { readonly [key: string]: unknown };

/** One run of a sweep. */
export interface SweepRun {
  readonly name: string;
  /** The whole config of the run, as `blt train --config` takes it. */
  readonly config: Tree;
  /** The options in which runs of the sweep differ, by flag, as text. */
  readonly settings: Readonly<Record<string, string>>;
}

const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Every value of a config by its place: `[section, key]`, or `[key]`. Dates and such are left for the schema to refuse. */
function places(tree: Tree): [path: readonly string[], value: unknown][] {
  return Object.entries(tree).flatMap(([key, value]): [readonly string[], unknown][] =>
    isTree(value) ? Object.entries(value).map(([inner, one]) => [[key, inner], one]) : [[[key], value]],
  );
}

function withValue(tree: Tree, [first, second]: readonly string[], value: unknown): Tree {
  if (second === undefined) return { ...tree, [first]: value };
  return { ...tree, [first]: { ...(isTree(tree[first]) ? tree[first] : {}), [second]: value } };
}

/** A config of values over the base. Both forms of `data` are one by then, because the short one would take the place of the whole section. */
const laidOver = (values: readonly (readonly [path: readonly string[], value: unknown])[], base: Tree): Tree =>
  values.reduce((tree, [path, value]) => withValue(tree, path, value), withDataSection(base));

/** The flag of a key, without dashes in front. */
function flag([first, second]: readonly string[]): string {
  const [section, key] = second === undefined ? [undefined, first] : [first, second];
  const row = (OPTIONS as readonly OptionRow[]).find((one) => one.section === section && one.key === key);
  return row ? flagOf(row) : key;
}

/** Every combination of a grid, the last key varying fastest. @throws UserError for a key that has no list */
function combinations(grid: Tree, name: string): (readonly [path: readonly string[], value: unknown])[][] {
  let all: (readonly [readonly string[], unknown])[][] = [[]];
  for (const [path, values] of places(grid)) {
    if (!Array.isArray(values) || values.length === 0) {
      throw new UserError(
        `${name}: [grid] ${path.join('.')} must be a list of the values to try, such as [1e-3, 3e-3]; what is the same in all runs belongs in [base]`,
        2,
      );
    }
    if (all.length * values.length > MOST_RUNS) {
      throw new UserError(`${name}: the grid has more than ${MOST_RUNS} combinations; take values out of it`, 2);
    }
    all = all.flatMap((one) => values.map((value) => [...one, [path, value] as const]));
  }
  return all;
}

const valueText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** A name for a folder from the values of a run: `lr-0.003_seed-1`. */
const nameOf = (settings: Readonly<Record<string, string>>): string =>
  Object.entries(settings)
    .map(([key, value]) => `${key}-${value}`.replace(/[^A-Za-z0-9._-]+/g, '-'))
    .join('_')
    .slice(0, LONGEST_NAME);

/** Options by flag that are not the same in all of the configs. @param own parts of the file that are not the base, in whose order they come */
function differing(configs: readonly Tree[], own: readonly Tree[]): Readonly<Record<string, string>>[] {
  const all = configs.map((config) => new Map(places(config).map(([path, value]) => [flag(path), valueText(value)])));
  const flags = new Set(own.flatMap(places).map(([path]) => flag(path)));
  const differ = [...flags].filter((key) => key !== 'run' && new Set(all.map((one) => one.get(key))).size > 1);
  return all.map((one) => Object.fromEntries(differ.map((key) => [key, one.get(key) ?? 'default'])));
}

/** The configs of a file, and the parts of it that make them differ. @throws UserError */
function configsOf(
  { base = {}, grid, run: list, ...rest }: Tree,
  name: string,
): { configs: Tree[]; own: readonly Tree[] } {
  const stranger = Object.keys(rest)[0];
  if (stranger !== undefined) {
    throw new UserError(
      `${name} has no part ${JSON.stringify(stranger.slice(0, 80))}; it has [base], with what all runs share, and [grid] or [[run]]`,
      2,
    );
  }
  if (!isTree(base)) throw new UserError(`${name}: base must be a section, [base]`, 2);
  if ((grid === undefined) === (list === undefined)) {
    const what = grid === undefined ? 'neither [grid] nor [[run]]' : 'both [grid] and [[run]]';
    throw new UserError(`${name} has ${what}; give [grid] for every combination of values, or [[run]] for each run`, 2);
  }
  if (grid !== undefined) {
    if (!isTree(grid)) throw new UserError(`${name}: grid must be a section, [grid]`, 2);
    const values = withDataSection(grid);
    const configs = combinations(values, name).map((one) => laidOver(one, base));
    return { configs, own: [values] };
  }
  if (!Array.isArray(list) || list.length === 0 || list.length > MOST_RUNS || !list.every(isTree)) {
    throw new UserError(`${name}: write each run as a section of its own, [[run]]; at most ${MOST_RUNS}`, 2);
  }
  const own = list.map(withDataSection);
  return { configs: own.map((one) => laidOver(places(one), base)), own };
}

/**
 * The runs of a sweep.
 * @param name of the file, for messages
 * @throws UserError naming the run whose config is wrong, or two runs that are the same
 */
export function parseSweep(text: string, name: string): SweepRun[] {
  const { configs, own: parts } = configsOf(fromToml(text.replace(/^\uFEFF/, ''), name), name);
  const settings = differing(configs, parts);
  const runs = configs.map(({ run, ...config }, i): SweepRun => {
    const own = typeof run === 'string' ? run : nameOf(settings[i]) || 'run';
    const checked = checkConfig({ ...config, run: own }, `${name}, run ${i + 1} (${own})`);
    const data = [checked.data?.data ?? [], checked.data?.held_out ?? []].flat();
    if (data.some((source) => /^-(?:=|$)/.test(source))) {
      throw new UserError(`${name}: several runs cannot read standard input; write it to a file, and name that`, 2);
    }
    return { name: own, config, settings: settings[i] };
  });
  const twice = runs.find((one, i) => runs.findIndex((other) => other.name === one.name) !== i);
  if (twice === undefined) return runs;
  throw new UserError(
    `${name}: two runs have the name ${twice.name}; make their settings differ, or name each: [[run]] run = "..."`,
    2,
  );
}

/** Reads the file of a sweep. @throws UserError */
export function loadSweep(path: string): SweepRun[] {
  let text: string;
  try {
    text = readSmallFile(path, MAX_SWEEP_BYTES);
  } catch (error) {
    throw new UserError(`cannot read the sweep ${path}: ${reason(error)}`, 2, { cause: error });
  }
  return parseSweep(text, path);
}
