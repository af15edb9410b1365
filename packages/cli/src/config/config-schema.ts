/**
 * @file The schema of the config file, made of the rows of options.ts, and the rules between keys. Every key is optional: what is left
 * out follows from `size`, from the data, or from the defaults.
 */
import * as z from 'zod';
import { OPTIONS, type Option, type OptionRow, type SectionName, type ValueOf } from './options.ts';

/** A value as a refusal shows it. */
export function shown(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'a section';
  return String(JSON.stringify(value) ?? value).slice(0, 80);
}

/** The refusal of a row, and the value that it refuses. */
const refused = ({ refusal }: OptionRow) =>
  refusal && { error: ({ input }: { readonly input?: unknown }) => `${refusal}, got ${shown(input)}` };

/** A number within the bounds of a row. */
function numberType(type: z.ZodNumber, row: OptionRow): z.ZodNumber {
  const { min, above, max, below } = row;
  let bounded = type;
  if (min !== undefined) bounded = bounded.min(min);
  if (above !== undefined) bounded = bounded.gt(above);
  if (max !== undefined) bounded = bounded.max(max, refused(row));
  if (below !== undefined) bounded = bounded.lt(below);
  return bounded;
}

/** The schema of one option's value. */
function valueType(row: OptionRow): z.ZodType {
  const text = z.string().min(1);
  switch (row.kind) {
    case 'whole':
      return numberType(z.int(), row);
    case 'number':
      return numberType(z.number(), row);
    case 'boolean':
      return z.boolean();
    case 'choice':
      return z.enum(row.choices!);
    case 'text':
      return row.pattern ? z.string().regex(row.pattern, refused(row)) : text;
    case 'wholes':
      return z.array(numberType(z.int(), row)).max(row.most!);
    case 'texts':
      return z.union([text, z.array(text).min(1)], refused(row));
  }
}

type In<Section extends SectionName | undefined> = Section extends SectionName
  ? Extract<Option, { readonly section: Section }>
  : Exclude<Option, { readonly section: SectionName }>;
type Shape<Section extends SectionName | undefined> = {
  [O in In<Section> as O['key']]: z.ZodOptional<z.ZodType<ValueOf<O>>>;
};

/** The keys of a section, or those above all sections. */
function shapeOf<Section extends SectionName | undefined>(section: Section): Shape<Section> {
  const rows = (OPTIONS as readonly OptionRow[]).filter((row) => row.section === section);
  return Object.fromEntries(rows.map((row) => [row.key, valueType(row).optional()])) as Shape<Section>;
}

type Section = Record<string, unknown>;

/** Heads must divide the width, into heads of even size: RoPE turns pairs. Checked where the file gives both. */
function checkHeads(section: Section, widthKey: string, headsKey: string, context: z.core.$RefinementCtx): void {
  const [channels, heads] = [section[widthKey], section[headsKey]];
  if (typeof channels !== 'number' || typeof heads !== 'number') return;
  if (channels % heads !== 0) {
    context.addIssue({
      code: 'custom',
      path: [headsKey],
      message: `${headsKey} ${heads} must divide ${widthKey} ${channels} without remainder`,
    });
  } else if ((channels / heads) % 2 !== 0) {
    context.addIssue({
      code: 'custom',
      path: [headsKey],
      message: `${widthKey} ${channels} / ${headsKey} ${heads} = ${channels / heads} is odd; rotary positions need heads of even width`,
    });
  }
}

const modelSection = z.strictObject(shapeOf('model')).superRefine((section, context) => {
  checkHeads(section, 'local_width', 'local_heads', context);
  checkHeads(section, 'global_width', 'global_heads', context);
  const { hash_sizes } = section;
  const twice = hash_sizes?.find((size, index) => hash_sizes.indexOf(size) !== index);
  if (twice !== undefined) {
    context.addIssue({
      code: 'custom',
      path: ['hash_sizes'],
      message: `${twice} is listed twice; give each size once`,
    });
  }
});

const entropyModelSection = z.strictObject(shapeOf('entropy_model')).superRefine((section, context) => {
  checkHeads(section, 'width', 'heads', context);
  const other = section.model === undefined ? undefined : Object.keys(section).find((key) => key !== 'model');
  if (other !== undefined) {
    context.addIssue({
      code: 'custom',
      path: [other],
      message: `the entropy model of ${section.model} is used as it is; leave out ${other}`,
    });
  }
});

/** Keys of [patcher] that a mode does not read; mode space takes patch_size as a guess, for how many patches make a row. */
export function unusedPatching(
  mode: string | undefined,
): readonly ('threshold' | 'monotonic' | 'threshold_add' | 'patch_size')[] {
  if (mode === undefined || mode === 'entropy') return [];
  const ofEntropies = ['threshold', 'monotonic', 'threshold_add'] as const;
  return mode === 'byte' ? [...ofEntropies, 'patch_size'] : ofEntropies;
}

const patcherSection = z.strictObject(shapeOf('patcher')).superRefine((section, context) => {
  const { patching_mode, patch_size, threshold, monotonic, threshold_add } = section;
  const issue = (key: string, message: string): void => context.addIssue({ code: 'custom', path: [key], message });
  const unused = unusedPatching(patching_mode).find((key) => section[key] !== undefined && section[key] !== false);
  if (unused !== undefined) issue(unused, `${unused} has no meaning in patching_mode "${patching_mode}"; leave it out`);
  if (patching_mode === 'static' && patch_size !== undefined && !Number.isInteger(patch_size)) {
    issue('patch_size', `patch_size ${patch_size} must be a whole number of bytes in patching_mode "static"`);
  }
  if (patch_size !== undefined && threshold !== undefined && (patching_mode ?? 'entropy') === 'entropy') {
    issue('patch_size', 'patch_size chooses the threshold, so give patch_size or threshold, not both');
  }
  if (monotonic === true && threshold_add !== undefined) {
    issue('threshold_add', 'monotonic = true takes no threshold_add; give one of the two');
  }
});

const dataSection = z.strictObject(shapeOf('data')).superRefine((section, context) => {
  if (section.held_out === undefined) return;
  for (const key of ['split', 'held_out_fraction'] as const) {
    if (section[key] === undefined) continue;
    context.addIssue({
      code: 'custom',
      path: [key],
      message: `held_out names the held-out text, so there is nothing to split; give held_out or ${key}, not both`,
    });
  }
});

const trainSection = z.strictObject(shapeOf('train')).superRefine(({ on_spike, spike_factor }, context) => {
  if (spike_factor === undefined || (on_spike ?? 'ignore') !== 'ignore') return;
  context.addIssue({
    code: 'custom',
    path: ['spike_factor'],
    message: 'spike_factor has no meaning where spikes are ignored; leave it out, or give on_spike skip or rewind',
  });
});

/** The whole file. */
export const configSchema = z.strictObject({
  ...shapeOf(undefined),
  data: dataSection.optional(),
  patcher: patcherSection.optional(),
  entropy_model: entropyModelSection.optional(),
  model: modelSection.optional(),
  train: trainSection.optional(),
});

export type FileConfig = z.infer<typeof configSchema>;
