/** @file The config file, TOML or JSON: read, checked, and with the flags laid over it. */
import { extname } from 'node:path';
import { parse as parseToml, TomlError } from 'smol-toml';
import type * as z from 'zod';
import { MISLEADING } from '../files/checked.ts';
import { parseJson, readSmallFile } from '../files/small-file.ts';
import { abridged, reason, UserError } from '../terminal/errors.ts';
import { didYouMean, nearestName } from '../terminal/nearest-name.ts';
import { meaningOf, ourNames } from './aliases.ts';
import { configSchema, type FileConfig, shown, unusedPatching } from './config-schema.ts';
import { camelCase, flagOf, OPTIONS, type OptionRow } from './options.ts';

/** All options, in the order of the schema's sections. */
const ROWS: readonly OptionRow[] = [
  ...[undefined, ...Object.keys(configSchema.shape)].flatMap((name) =>
    (OPTIONS as readonly OptionRow[]).filter(({ section }) => section === name),
  ),
];

/** A config file is a page, not a data set; more bytes than this are surely the wrong file. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/** Reads a config file: TOML, or JSON if it is called .json. @throws UserError (exit code 2) listing all problems at once */
export async function loadConfig(path: string): Promise<FileConfig> {
  let text: string;
  try {
    text = readSmallFile(path, MAX_CONFIG_BYTES);
  } catch (error) {
    const why = reason(error);
    throw new UserError(`cannot read the config file ${path}: ${why}`, 2, { cause: error });
  }
  return parseConfig(text, path);
}

/** Parses and checks config text; `name` decides between JSON (.json) and TOML, and stands in messages. */
export function parseConfig(text: string, name: string): FileConfig {
  const plain = text.replace(/^\uFEFF/, '');
  return checkConfig(isJson(name) ? parseJson(plain, name, 2) : fromToml(plain, name), name);
}

const isJson = (name: string): boolean => extname(name).toLowerCase() === '.json';

/**
 * Checks an already parsed config. `data = "book.txt"` above all sections is taken as short for `[data] data = "book.txt"`.
 * @param name what the messages call it: the file, or `the command line`
 * @throws UserError (exit code 2) with every problem, and a suggestion for each unknown key
 */
export function checkConfig(value: unknown, name: string): FileConfig {
  return checkedConfig(value, name, isJson(name) ? placeInJson : placeInFile);
}

function checkedConfig(value: unknown, name: string, placeOf: (path: readonly PropertyKey[]) => string): FileConfig {
  let result: z.ZodSafeParseResult<FileConfig>;
  try {
    result = configSchema.safeParse(withDataSection(value), { error: inPlainWords });
  } catch (error) {
    throw new UserError(`${name} ${MISLEADING}`, 2, { cause: error });
  }
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) => {
    const place = placeOf(issue.path);
    return problemsOf(issue).map((problem) => {
      if (/^(must|has) /.test(problem)) return `${place === '' ? 'it' : place} ${problem}`;
      return place === '' ? problem : `${place}: ${problem}`;
    });
  });
  // A flag says by itself where it stands.
  const prefix = placeOf === placeInFlags ? '' : `${name}: `;
  if (problems.length === 1) throw new UserError(abridged(prefix + problems[0]), 2);
  const list = problems.slice(0, 40).map((problem) => `- ${problem}`);
  throw new UserError(`${name} has ${problems.length} problems:\n${abridged(list.join('\n'))}`, 2);
}

/** `[train] steps`, `[model] hash_sizes[1]`; keys above all sections by themselves. */
function placeInFile([first, ...rest]: readonly PropertyKey[]): string {
  if (first === undefined) return '';
  const section = Object.hasOwn(configSchema.shape, first) && ROWS.some((entry) => entry.section === first);
  return section ? [`[${String(first)}]`, ...keyAndIndex(rest)].join(' ') : keyAndIndex([first, ...rest]).join('');
}

/** `train.steps`, `model.hash_sizes[1]` */
const placeInJson = (path: readonly PropertyKey[]): string => keyAndIndex(path).join('');

/** `--steps`, `--hash-sizes[1]` */
function placeInFlags(path: readonly PropertyKey[]): string {
  const inSection = ROWS.some((entry) => entry.section === path[0]);
  const section = inSection ? path[0] : undefined;
  const [key, ...rest] = inSection ? path.slice(1) : path;
  const entry = ROWS.find((one) => one.section === section && one.key === key);
  return entry ? `--${flagOf(entry)}${indexes(rest)}` : placeInFile(path);
}

const indexes = (path: readonly PropertyKey[]): string =>
  path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part).slice(0, 80)}`)).join('');

const keyAndIndex = ([key, ...rest]: readonly PropertyKey[]): string[] =>
  key === undefined ? [] : [`${String(key).slice(0, 80)}${indexes(rest)}`];

/** Says which value was expected and which was found, because zod's own words are for programmers. The schema's messages win over these. */
function inPlainWords(issue: z.core.$ZodRawIssue): string | undefined {
  const got = `got ${shown(issue.input)}`;
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${KINDS[issue.expected] ?? issue.expected}, ${got}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}; ${got}`;
    case 'too_small':
      if (issue.origin === 'array' || issue.origin === 'string') return 'must not be empty';
      return `must be ${issue.inclusive ? `${issue.minimum} or more` : `above ${issue.minimum}`}, ${got}`;
    case 'too_big':
      if (issue.origin === 'array' || issue.origin === 'string') return `must have at most ${issue.maximum} entries`;
      return `must be ${issue.inclusive ? `${issue.maximum} or less` : `below ${issue.maximum}`}, ${got}`;
    default:
      return undefined;
  }
}

const KINDS: Record<string, string> = {
  int: 'a whole number',
  number: 'a number',
  string: 'a text in quotes',
  boolean: 'true or false',
  array: 'a list',
  object: 'a section of keys',
};

/**
 * Lays command line options over a config: the options win.
 * @param options as commander gives them: camelCase flag names; undefined and names that are no config key are passed over.
 *   Numbers and lists may still be strings (`--lr 1e-3`, `--hash-sizes 3,4,5`).
 */
export function overrideConfig(config: FileConfig, options: Readonly<Record<string, unknown>>): FileConfig {
  const merged = structuredClone(config) as Record<string, Record<string, unknown> | unknown>;
  for (const entry of ROWS) {
    const given = options[camelCase(flagOf(entry))];
    if (given === undefined) continue;
    const target = entry.section === undefined ? merged : ((merged[entry.section] ??= {}) as Record<string, unknown>);
    target[entry.key] = coerce(given, entry);
    // A flag that says the same thing another way replaces what the file said.
    for (const rival of RIVALS[entry.key] ?? []) {
      if (given !== false && options[camelCase(rival)] === undefined) delete target[rival];
    }
  }
  // If a flag chooses another way, keys of the file that are not read then are no mistake either.
  for (const row of unusedBy(options)) {
    const section = merged[row.section!] as Record<string, unknown> | undefined;
    if (section && options[camelCase(flagOf(row))] === undefined) delete section[row.key];
  }
  return checkedConfig(merged, 'the command line', placeInFlags);
}

/** Options that are not read under the patching mode and the treatment of spikes that flags choose. */
function unusedBy({ patchingMode, onSpike }: Readonly<Record<string, unknown>>): OptionRow[] {
  const mode = patchingMode === undefined ? undefined : String(patchingMode);
  const unused: readonly string[] = unusedPatching(mode);
  return ROWS.filter(({ section, key }) => {
    if (section === 'patcher') return unused.includes(key);
    if (section === 'entropy_model') return mode !== undefined && mode !== 'entropy';
    return key === 'spike_factor' && onSpike === 'ignore';
  });
}

const RIVALS: Readonly<Record<string, readonly string[]>> = {
  patch_size: ['threshold'],
  threshold: ['patch_size'],
  monotonic: ['threshold_add'],
  threshold_add: ['monotonic'],
  held_out: ['split', 'held_out_fraction'],
  split: ['held_out'],
  held_out_fraction: ['held_out'],
};

/** Text to the key's kind; what does not fit stays text, for the schema to complain about. */
function coerce(given: unknown, { kind }: OptionRow): unknown {
  if (typeof given !== 'string') return given;
  const number = (text: string): number | string => {
    const value = Number(text.replaceAll('_', ''));
    return text.trim() === '' || Number.isNaN(value) ? text : value;
  };
  if (kind === 'whole' || kind === 'number') return number(given);
  if (kind === 'wholes') return given === '' ? [] : given.split(',').map(number);
  if (kind === 'boolean' && (given === 'true' || given === 'false')) return given === 'true';
  return given;
}

/** A config with the section that its short form `data = "book.txt"` stands for. Anything else is as it was. */
export function withDataSection<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'data')) return value;
  const { data } = value as { data?: unknown };
  return typeof data === 'string' || Array.isArray(data) ? { ...value, data: { data } } : value;
}

/** A sentence for each unknown key, with the place where it belongs or the name that was probably meant; else the issue's own. */
function problemsOf(issue: z.core.$ZodIssue): string[] {
  if (issue.code !== 'unrecognized_keys') return [issue.message];
  const section = issue.path[0]?.toString();
  // Looking for what was meant costs time; nobody reads more than these.
  return issue.keys
    .slice(0, 20)
    .map((key) => `has no key ${JSON.stringify(key.slice(0, 80))}${hint(key.slice(0, 80), section)}`);
}

/** Our key for what other trainers call `key`; undefined if they have no such name. */
function aliasHint(key: string, section: string | undefined): string | undefined {
  const inSection = (name: string) => ROWS.filter((entry) => entry.key === name);
  const [ours] = ourNames(key, (name) => inSection(name).length > 0);
  if (ours === undefined) return undefined;
  const entries = inSection(ours);
  const here = entries.find((entry) => entry.section === section);
  const where =
    here === undefined ? ` ${place(entries.find((entry) => entry.section !== 'entropy_model') ?? entries[0])}` : '';
  return `; it is called ${ours} here${where}${meaningOf(key)}`;
}

function hint(key: string, section: string | undefined): string {
  const here = ROWS.filter((entry) => entry.section === section).map((entry) => entry.key);
  const sections = [...new Set(ROWS.flatMap((entry) => entry.section ?? []))];
  const alias = here.includes(key) ? undefined : aliasHint(key, section);
  if (alias !== undefined && !ROWS.some((entry) => entry.key === key)) return alias;
  const local = nearestName(key, section === undefined ? [...here, ...sections] : here);
  const same = ROWS.filter((entry) => entry.key === key);
  if (local === undefined && same.length > 0) return `; it belongs ${same.map(place).join(' or ')}`;
  if (local !== undefined) return didYouMean(key, [local]);
  const elsewhere = nearestName(
    key,
    ROWS.map((entry) => entry.key),
  );
  const found = ROWS.find((entry) => entry.key === elsewhere);
  return found ? ` (did you mean '${found.key}' ${place(found)}?)` : '';
}

const place = ({ section }: OptionRow): string => (section === undefined ? 'above all sections' : `in [${section}]`);

/** The values of a TOML file. @throws UserError naming line and column */
export function fromToml(text: string, name: string): Record<string, unknown> {
  try {
    return parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // smol-toml's message: what is wrong, then the lines around it with a caret.
    throw new UserError(`${name} line ${error.line}, column ${error.column}: ${abridged(error.message.trimEnd())}`, 2, {
      cause: error,
    });
  }
}
