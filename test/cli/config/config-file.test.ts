import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkConfig, loadConfig, overrideConfig, parseConfig } from '../../../packages/cli/src/config/config-file.ts';
import { OPTIONS, type OptionRow } from '../../../packages/cli/src/config/options.ts';
import { UserError } from '../../../packages/cli/src/terminal/errors.ts';
import { blt } from '../../support/command.ts';
import { runs } from '../../support/runs.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const full = `
size = "tiny"
run = "sea-1"
seed = 42
backend = "wasm"
threads = 2

[data]
data = ["books/*.txt", "-"]
held_out = "test.txt"
text_field = "body"

[patcher]
patching_mode = "entropy"
threshold = 1.335442066192627
monotonic = false
threshold_add = 0.2
max_patch_length = 32

[entropy_model]
layers = 2
width = 64
heads = 4
steps = 300

[model]
local_width = 128
local_heads = 4
encoder_layers = 1
decoder_layers = 3
global_width = 256
global_layers = 4
global_heads = 8
k = 2
hash_sizes = [3, 4, 5, 6, 7, 8]
hash_functions = 1
hash_vocab = 8_192
window = 512

[train]
steps = 2000
minutes = 20.5
batch_size = 8
patches_per_row = 128
row_bytes = 512
lr = 2e-3
warmup_steps = 50
lr_min_ratio = 0.05
weight_decay = 0.1
grad_clip = 1.0
grad_accumulation = 1
dropout = 0.1
hash_dropout = 0.2
ema = 0.999
eval_every = 100
save_every = 500
sample_every = 0
patience = 5
on_spike = "skip"
spike_factor = 3
keep_last = 2
`;

const problems = (text: string, name = 'x.toml'): string => {
  try {
    parseConfig(text, name);
    return '';
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).exitCode).toBe(2);
    return (error as Error).message;
  }
};

test('a file of many keys is taken as it is, from TOML and from JSON', async () => {
  const config = parseConfig(full, 'x.toml');
  expect(config.train?.lr).toBe(0.002);
  expect(config.model?.hash_vocab).toBe(8192);
  expect(parseConfig(JSON.stringify(config), 'x.json')).toEqual(config);
  const folder = temporaryFolder({ 'a.toml': `\ufeff${full}`, 'a.JSON': JSON.stringify(config) });
  expect(await loadConfig(join(folder, 'a.toml'))).toEqual(config);
  expect(await loadConfig(join(folder, 'a.JSON'))).toEqual(config);
});

test('an empty file is a valid config', () => {
  expect(parseConfig('', 'x.toml')).toEqual({});
});

test('data above all sections is short for the section', () => {
  expect(parseConfig('data = "book.txt"', 'x.toml')).toEqual({ data: { data: 'book.txt' } });
  expect(parseConfig('data = ["a", "b"]', 'x.toml')).toEqual({ data: { data: ['a', 'b'] } });
});

test('all problems come in one message, with a suggestion for each unknown key', () => {
  expect(
    problems(`
seed = "seven"
steps = 10
[patcher]
patchsize = 4
threshold = 7
[model]
lr = 1
localwidth = 5
window = 0
banana = 1
[trian]
`),
  ).toBe(`x.toml has 9 problems:
- seed must be a number, got "seven"
- [patcher] threshold must be 5.5607 or less: thresholds are in nats, and no entropy is above ln 260, got 7
- [patcher] has no key "patchsize" (did you mean 'patch_size'?)
- [model] window must be 1 or more, got 0
- [model] has no key "lr"; it belongs in [train]
- [model] has no key "localwidth" (did you mean 'local_width'?)
- [model] has no key "banana"
- it has no key "steps"; it belongs in [entropy_model] or in [train]
- it has no key "trian" (did you mean 'train'?)`);
});

test.each<[string, RegExp]>([
  ['[model]\nwindow = 0', /^x\.toml: \[model\] window must be 1 or more, got 0$/],
  ['[model]\nwindow = 1.5', /^x\.toml: \[model\] window must be a whole number, got 1\.5$/],
  ['[patcher]\npatch_size = 0.5', /\[patcher\] patch_size must be 1 or more, got 0\.5/],
  ['[patcher]\npatching_mode = "entrpy"', /patching_mode must be one of entropy, space, static, byte; got "entrpy"/],
  ['[patcher]\npatching_mode = "static"\npatch_size = 4.5', /patch_size 4\.5 must be a whole number of bytes/],
  ['[patcher]\npatch_size = 4\nthreshold = 1.0', /give patch_size or threshold, not both/],
  [
    '[patcher]\npatching_mode = "space"\nthreshold = 1.0',
    /threshold has no meaning in patching_mode "space"; leave it out/,
  ],
  ['[patcher]\npatching_mode = "byte"\npatch_size = 3', /patch_size has no meaning in patching_mode "byte"/],
  ['[data]\nheld_out = "a"\nheld_out_fraction = 0.5', /give held_out or held_out_fraction, not both/],
  ['[train]\nspike_factor = 3', /spike_factor has no meaning where spikes are ignored/],
  ['[train]\non_spike = "ignore"\nspike_factor = 3', /spike_factor has no meaning where spikes are ignored/],
  ['[patcher]\nmonotonic = true\nthreshold_add = 1.0', /monotonic = true takes no threshold_add/],
  ['[model]\nlocal_width = 100\nlocal_heads = 3', /local_heads 3 must divide local_width 100/],
  ['[model]\nglobal_width = 12\nglobal_heads = 4', /global_width 12 \/ global_heads 4 = 3 is odd/],
  ['[entropy_model]\nwidth = 10\nheads = 4', /heads 4 must divide width 10/],
  ['[model]\nhash_sizes = [3, 3]', /3 is listed twice/],
  ['[model]\nhash_vocab = 1_048_576', /hash_vocab must be below 1048576, got 1048576/],
  ['[train]\nbatch_size = 2_000_000', /\[train\] batch_size must be 1048576 or less, got 2000000/],
  ['[train]\npass_rows = 2_000_000', /\[train\] pass_rows must be 1048576 or less, got 2000000/],
  ['[train]\ngrad_accumulation = 2_000_000', /\[train\] grad_accumulation must be 1048576 or less, got 2000000/],
  ['[model]\nglobal_layers = 2_000', /\[model\] global_layers must be 1024 or less, got 2000/],
  ['[model]\nhash_functions = 12', /hash_functions must be 11 or less, got 12/],
  ['[train]\nlr = nan', /lr must be a number, got NaN/],
  ['[train]\ndropout = 1.0', /dropout must be below 1, got 1/],
  ['[train]\nlr = "1e-3"', /\[train\] lr must be a number, got "1e-3"/],
  ['run = "../up"', /a run name becomes a folder.*no slashes, got "\.\.\/up"/],
  ['data = 5', /\[data\] must be a section of keys, got 5/],
  ['[data]\ndata = []', /\[data\] data must (not be empty|be a text or a list of texts)/],
  ['[data]\nheld_out = 5', /\[data\] held_out must be a text or a list of texts, in quotes/],
])('%j is refused', (text, message) => {
  expect(problems(text)).toMatch(message);
});

test('a problem stands where the file has the key, in JSON as in TOML', () => {
  expect(problems('{"train": {"steps": -1}}', 'x.json')).toMatch(/^x\.json: train\.steps must be/);
  expect(problems('{"model": {"hash_sizes": [3, 0]}}', 'x.json')).toMatch(/^x\.json: model\.hash_sizes\[1\] must be/);
});

test('the help of train has each key in its section', () => {
  const { stdout } = blt('.', ['train', '--help']);
  const blocks = stdout.slice(stdout.indexOf('JSON has an object')).split(/^ {2}(?=\[\w+\]$)/m);
  for (const { section, key } of OPTIONS as readonly OptionRow[]) {
    const block = section === undefined ? blocks[0] : blocks.find((one) => one.startsWith(`[${section}]\n  `));
    expect({ key, found: block?.split(/[\s,]+/).includes(key) }).toEqual({ key, found: true });
  }
});

test('an object that misleads the checks themselves is refused', () => {
  expect(problems('{"data": {"text_field": {"length": {"valueOf": 1, "toString": 1}}}}', 'x.json')).toBe(
    'x.json cannot be used: an object in it has a "length" that is no number',
  );
});

test.each<[string, string]>([
  ['[train]\nlearning_rate = 1', '[train] has no key "learning_rate"; it is called lr here'],
  ['[train]\nmax_iters = 1', '[train] has no key "max_iters"; it is called steps here'],
  [
    '[train]\nepochs = 1',
    '[train] has no key "epochs"; it is called steps here; training is counted in steps, not epochs',
  ],
  ['[train]\nblock_size = 1', '[train] has no key "block_size"; it is called row_bytes here'],
  ['[train]\nbatch = 1', '[train] has no key "batch"; it is called batch_size here'],
  ['[model]\nn_layer = 1', '[model] has no key "n_layer"; it is called global_layers here'],
  ['n_embd = 1', 'it has no key "n_embd"; it is called global_width here in [model]'],
])("another trainer's name gets ours: %j", (text, says) => {
  expect(problems(text)).toBe(`x.toml: ${says}`);
});

test('one problem is one sentence', () => {
  expect(problems('[train]\nsteps = 0')).toBe('x.toml: [train] steps must be 1 or more, got 0');
});

test('syntax errors name the line', () => {
  expect(problems('seed = 1\n[model\nwindow = 5')).toMatch(/^x\.toml line 2, column \d+: /);
  expect(problems('{"seed": 1,}', 'x.json')).toMatch(/^x\.json is not JSON: /);
  expect(problems('[1]', 'x.json')).toMatch(/^x\.json: it must be a section of keys, got a list$/);
  expect(problems('null', 'x.json')).toMatch(/^x\.json: it must be a section of keys, got null$/);
  expect(problems('{"__proto__": {"seed": 1}, "constructor": 1}', 'x.json')).toMatch(/has no key/);
});

test('a file that is missing, or plainly no config, is refused by name', async () => {
  const folder = temporaryFolder({ 'big.toml': '#'.repeat(2 ** 20 + 1), 'largest.toml': '#'.repeat(2 ** 20) });
  expect(await loadConfig(join(folder, 'largest.toml'))).toEqual({});
  await expect(loadConfig(join(folder, 'no.toml'))).rejects.toThrow(
    /cannot read the config file .*no\.toml: there is no such file/,
  );
  await expect(loadConfig(join(folder, 'big.toml'))).rejects.toThrow(/big\.toml: it has more than 1\.05 MB/);
  await expect(loadConfig(folder)).rejects.toThrow(/it is a folder/);
});

test('no text makes the parser throw anything but a UserError', () => {
  const line = fc.constantFrom(
    '[model]',
    '[[data]]',
    'k = 1',
    'k = {a = 1}',
    'data = "x"',
    'lr = 0x1p',
    '"',
    '\\',
    'a.b.c = 1',
    'seed = 2020-01-01',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(line, fc.string())), fc.constantFrom('x.toml', 'x.json'), (lines, name) => {
      problems(lines.join('\n'), name);
    }),
    { numRuns: runs(200) },
  );
});

test('options win over the file, and text becomes what the key wants', () => {
  const file = parseConfig('seed = 1\n[train]\nlr = 1e-3\nsteps = 10', 'x.toml');
  const merged = overrideConfig(file, {
    lr: '2e-3',
    hashSizes: '3,4',
    entropyWidth: '1_024',
    monotonic: true,
    data: ['a', 'b'],
    backend: 'wasm',
    json: true,
    steps: undefined,
  });
  expect(merged).toEqual({
    seed: 1,
    backend: 'wasm',
    train: { lr: 0.002, steps: 10 },
    model: { hash_sizes: [3, 4] },
    entropy_model: { width: 1024 },
    patcher: { monotonic: true },
    data: { data: ['a', 'b'] },
  });
  expect(file).toEqual({ seed: 1, train: { lr: 0.001, steps: 10 } });
});

test('a way of cutting given as an option puts aside what the file says for another one, but no other option', () => {
  const file = parseConfig('[patcher]\nthreshold = 1.3\nmonotonic = true\nmax_patch_length = 9', 'run.toml');
  expect(overrideConfig(file, { patchingMode: 'space' }).patcher).toEqual({
    patching_mode: 'space',
    max_patch_length: 9,
  });
  expect(overrideConfig(file, { patchingMode: 'entropy' }).patcher).toMatchObject({ threshold: 1.3, monotonic: true });
  expect(() => overrideConfig({}, { patchingMode: 'space', monotonic: true })).toThrow(/monotonic has no meaning/);
});

test('an option that says the same in another way replaces what the file said', () => {
  const file = checkConfig({ patcher: { threshold: 1.3, threshold_add: 0.1 } }, 'x');
  expect(overrideConfig(file, { patchSize: '6' }).patcher).toEqual({ patch_size: 6, threshold_add: 0.1 });
  expect(overrideConfig(file, { monotonic: true }).patcher).toEqual({ threshold: 1.3, monotonic: true });
  expect(overrideConfig(file, { monotonic: false }).patcher).toEqual({
    threshold: 1.3,
    threshold_add: 0.1,
    monotonic: false,
  });
  expect(() => overrideConfig(file, { patchSize: '6', threshold: '1' })).toThrow(
    /give patch_size or threshold, not both/,
  );
});

test('what is not read under another choice of a flag is put aside where the file says it, and refused as a flag', () => {
  const file = parseConfig(
    '[data]\nheld_out_fraction = 0.2\n[train]\non_spike = "skip"\nspike_factor = 3\n[entropy_model]\nsteps = 9',
    'run.toml',
  );
  expect(overrideConfig(file, { heldOut: ['a'] }).data).toEqual({ held_out: ['a'] });
  expect(overrideConfig(file, { onSpike: 'ignore' }).train).toEqual({ on_spike: 'ignore' });
  expect(overrideConfig(file, { onSpike: 'rewind' }).train).toEqual({ on_spike: 'rewind', spike_factor: 3 });
  expect(overrideConfig(file, { patchingMode: 'space' }).entropy_model).toEqual({});
  expect(overrideConfig(file, { patchingMode: 'space', entropySteps: '5' }).entropy_model).toEqual({ steps: 5 });
  expect(overrideConfig(file, { patchingMode: 'entropy' }).entropy_model).toEqual({ steps: 9 });
  expect(() => overrideConfig({}, { heldOut: ['a'], heldOutFraction: '0.5' })).toThrow(/not both/);
  expect(() => overrideConfig({}, { spikeFactor: '3' })).toThrow(/where spikes are ignored/);
});

test('a flag given as a word is true, false or refused', () => {
  expect(overrideConfig({}, { monotonic: 'true' }).patcher).toEqual({ monotonic: true });
  expect(overrideConfig({}, { monotonic: 'false' }).patcher).toEqual({ monotonic: false });
  expect(() => overrideConfig({}, { monotonic: 'maybe' })).toThrow(/^--monotonic must be true or false, got "maybe"$/);
});

test('a bad option is refused like a bad key', () => {
  expect(() => overrideConfig({}, { lr: 'fast' })).toThrow(/^--lr must be a number, got "fast"$/);
  expect(() => overrideConfig({}, { lr: '' })).toThrow(/^--lr must be a number, got ""$/);
  expect(() => overrideConfig({}, { hashSizes: '3,x' })).toThrow(/^--hash-sizes\[1\] must be a number, got "x"$/);
});
