import { extname } from 'node:path';
import { parse as parseToml, TomlError } from 'smol-toml';
import * as z from 'zod';
import { CONFIG_KEYS, type ConfigKey, configSchema, type FileConfig, unusedPatching } from './config-schema.ts';
import { abridged, errorCode, reason, UserError } from './errors.ts';
import { didYouMean, nearestName } from './nearest-name.ts';
import { parseJson, readSmallFile } from './small-file.ts';
import { MISLEADING } from './training-state.ts';

/** A config file is a page, not a data set; more bytes than this are surely the wrong file. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/** Reads a config file: TOML, or JSON if it is called .json. @throws UserError (exit code 2) listing all problems at once */
export async function loadConfig(path: string): Promise<FileConfig> {
  let text: string;
  try {
    text = readSmallFile(path, MAX_CONFIG_BYTES);
  } catch (error) {
    const why = errorCode(error) === 'ENOENT' ? 'there is no such file' : reason(error);
    throw new UserError(`cannot read the config file ${path}: ${why} (data goes to --data)`, 2, { cause: error });
  }
  return parseConfig(text, path);
}

/** Parses and checks config text; `name` decides between JSON (.json) and TOML, and stands in messages. */
export function parseConfig(text: string, name: string): FileConfig {
  const plain = text.replace(/^\uFEFF/, '');
  return checkConfig(
    extname(name).toLowerCase() === '.json' ? parseJson(plain, name, 2) : fromToml(plain, name),
    name,
  );
}

/**
 * Checks an already parsed config. `data = "book.txt"` above all sections is taken as short for `[data] data = "book.txt"`.
 * @param name what the messages call it: the file, or `the command line`
 * @throws UserError (exit code 2) with every problem, and a suggestion for each unknown key
 */
export function checkConfig(value: unknown, name: string): FileConfig {
  let result: z.ZodSafeParseResult<FileConfig>;
  try {
    result = configSchema.safeParse(withDataSection(value));
  } catch (error) {
    throw new UserError(`${name} ${MISLEADING}`, 2, { cause: error });
  }
  if (result.success) return result.data;
  const issues = result.error.issues.flatMap(explainUnknownKeys);
  const count = issues.length === 1 ? 'a problem' : `${issues.length} problems`;
  throw new UserError(`${name} has ${count}:\n${abridged(z.prettifyError(new z.ZodError(issues.slice(0, 40))))}`, 2);
}

/**
 * Lays command line options over a config: the options win.
 * @param options as commander gives them: camelCase flag names; undefined and names that are no config key are passed over.
 *   Numbers and lists may still be strings (`--lr 1e-3`, `--hash-sizes 3,4,5`).
 */
export function overrideConfig(config: FileConfig, options: Readonly<Record<string, unknown>>): FileConfig {
  const merged = structuredClone(config) as Record<string, Record<string, unknown> | unknown>;
  for (const entry of CONFIG_KEYS) {
    const given = options[camelCase(entry.flag)];
    if (given === undefined) continue;
    const target = entry.section === undefined ? merged : ((merged[entry.section] ??= {}) as Record<string, unknown>);
    target[entry.key] = coerce(given, entry);
    // A flag that says the same thing another way replaces what the file said.
    const rival = RIVALS[entry.key];
    if (rival !== undefined && given !== false && options[camelCase(rival)] === undefined) delete target[rival];
  }
  // Nor is it the file's mistake that another way of cutting does not read what it says.
  const patcher = merged.patcher as Record<string, unknown> | undefined;
  if (options.patchingMode !== undefined && patcher) {
    for (const key of unusedPatching(String(options.patchingMode))) {
      if (options[camelCase(key)] === undefined) delete patcher[key];
    }
  }
  return checkConfig(merged, 'the command line, laid over the config,');
}

const RIVALS: Record<string, string> = {
  patch_size: 'threshold',
  threshold: 'patch_size',
  monotonic: 'threshold_add',
  threshold_add: 'monotonic',
};

/** Text to the key's kind; what does not fit stays text, for the schema to complain about. */
function coerce(given: unknown, { kind }: ConfigKey): unknown {
  if (typeof given !== 'string') return given;
  const number = (text: string): number | string => {
    const value = Number(text.replaceAll('_', ''));
    return text.trim() === '' || Number.isNaN(value) ? text : value;
  };
  if (kind === 'number') return number(given);
  if (kind === 'numbers') return given === '' ? [] : given.split(',').map(number);
  if (kind === 'boolean' && (given === 'true' || given === 'false')) return given === 'true';
  return given;
}

const camelCase = (name: string): string => name.replace(/[-_](\w)/g, (_, letter: string) => letter.toUpperCase());

function withDataSection(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'data')) return value;
  const { data } = value as { data: unknown };
  return typeof data === 'string' || Array.isArray(data) ? { ...value, data: { data } } : value;
}

/** One issue per unknown key, each with the place where it belongs or the name that was probably meant. */
function explainUnknownKeys(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'unrecognized_keys') return [issue];
  const section = issue.path[0]?.toString();
  // Looking for what was meant costs time; nobody reads more than these.
  return issue.keys.slice(0, 20).map((key) => ({
    ...issue,
    keys: [key],
    message: `Unrecognized key: "${key.slice(0, 80)}"${hint(key.slice(0, 80), section)}`,
  }));
}

function hint(key: string, section: string | undefined): string {
  const here = CONFIG_KEYS.filter((entry) => entry.section === section).map((entry) => entry.key);
  const sections = [...new Set(CONFIG_KEYS.flatMap((entry) => entry.section ?? []))];
  const local = nearestName(key, section === undefined ? [...here, ...sections] : here);
  const same = CONFIG_KEYS.filter((entry) => entry.key === key);
  if (local === undefined && same.length > 0) return `; it belongs ${same.map(place).join(' or ')}`;
  if (local !== undefined) return didYouMean(key, [local]);
  const elsewhere = nearestName(
    key,
    CONFIG_KEYS.map((entry) => entry.key),
  );
  const found = CONFIG_KEYS.find((entry) => entry.key === elsewhere);
  return found ? ` (did you mean '${found.key}' ${place(found)}?)` : '';
}

const place = ({ section }: ConfigKey): string => (section === undefined ? 'above all sections' : `in [${section}]`);

function fromToml(text: string, name: string): unknown {
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
