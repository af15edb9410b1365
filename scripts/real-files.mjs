// Trains on many kinds of files and sizes, as a new user would, and checks what comes of it: node scripts/real-files.mjs [options]
//   --sizes 3k,30k,300k,3M    bytes of a file                --kinds text-latin,log,...   all by default
//   --minutes 0.5             budget of one training         --jobs 1                     trainings at once
//   --max-bytes 2000          bytes that `blt patch` shows   --keep                       keep the folder
// Needs a build (node scripts/build.mjs). Works in a temporary folder. Prints a Markdown table, a row a file, and leaves with code 1
// if any check failed. A refusal in one sentence (exit code 2) is a fair answer to a file that is too short.
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { crc32, deflateSync } from 'node:zlib';

const PACKAGES = join(dirname(dirname(fileURLToPath(import.meta.url))), 'packages');
const BLT = join(PACKAGES, 'cli/dist/blt.js');

/** Numbers below `n`, the same in every run. @see Marsaglia, Xorshift RNGs */
function randomNumbers(seed) {
  let state = seed >>> 0 || 1;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}

const WORDS = {
  latin:
    'the of and a to in is that it was for on are with as his they be at one have this from by hot word but what some we can out other were all there when up use your how said an each she which do their time if will way about many then them write would like so these her long make thing see him two has look more day could go come did number sound no most people my over know water than call first who may down side been now find any new work part take get place made live where after back little only round man year came show every good me give our under name very through just form sentence great think say help low line differ turn cause much mean before move right boy old too same tell does set three want air well also play small end put home read hand port large spell add even land here must big high such follow act why ask men change went light kind off need house picture try us again animal point mother world near build self earth father',
  cyrillic:
    'и в не на я быть он с что а по это она этот к но они мы весь который из у то за свой от так для ты же все год вы человек один бы такой только о себя ещё тот сказать какой когда уже до если время мочь другой знать самый говорить раз вот большой мой наш их рука первый дело жизнь новый день глаз город место слово дом стать видеть вода друг сторона вопрос земля работа последний хороший люди книга дорога утро вечер зима лето',
  arabic:
    'في من على أن إلى هذا كان عن مع ما هو بعد كل قد لا أو يوم بين ذلك غير هي التي الذي كما عند قبل حتى ليس هناك بيت كتاب مدينة رجل امرأة ولد ماء أرض سماء شمس قمر ليل نهار طريق عمل حياة وقت سنة شهر كلمة صوت يد عين قلب باب نور بحر جبل كبير صغير جديد قديم',
  chinese:
    '我们 你们 他们 今天 明天 昨天 中国 学习 工作 朋友 老师 学生 时间 地方 问题 水 火 山 天 地 人 大 小 多 少 好 新 旧 高 长 来 去 看 听 说 读 写 吃 喝 走 跑 家 城市 国家 世界 生活 文化 历史 科学 语言 书 电话 车 路 花 树 鸟 鱼 春天 夏天 秋天 冬天',
};

const joined = { latin: ' ', cyrillic: ' ', arabic: ' ', chinese: '' };
const stops = { latin: '.', cyrillic: '.', arabic: '۔', chinese: '。' };

/** Sentences of words of which the first are the most frequent, until there are enough bytes. */
function text(script, size) {
  const random = randomNumbers(7);
  const words = WORDS[script].split(' ');
  return grown(size, () => {
    const sentence = Array.from({ length: 4 + random(12) }, () => words[random(1 + random(words.length))]);
    return `${sentence.join(joined[script])}${stops[script]}${random(6) === 0 ? '\n\n' : joined[script] || ''}`;
  });
}

/** Pieces end to end, exactly `size` bytes: the last character may be cut, as in any file that was cut. */
function grown(size, piece) {
  const parts = [];
  for (let total = 0; total < size; ) {
    const bytes = Buffer.from(piece(parts.length));
    parts.push(bytes);
    total += bytes.length;
  }
  return Buffer.concat(parts).subarray(0, size);
}

/** A picture of about `size` bytes: gray noise hardly shrinks, so its side follows from the size. */
function png(size) {
  const random = randomNumbers(11);
  const side = Math.max(8, Math.floor(Math.sqrt(size)));
  const rows = Buffer.alloc(side * (side + 1));
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) rows[y * (side + 1) + 1 + x] = ((x * y) >> 3) + random(64);
  }
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head[8] = 8;
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  return Buffer.concat([
    signature,
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** 16-bit mono: three tones that fade in and out. */
function wav(size) {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(size - 8, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(16_000, 24);
  head.writeUInt32LE(32_000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(size - 44, 40);
  const samples = Buffer.alloc(size - 44);
  for (let i = 0; 2 * i + 1 < samples.length; i++) {
    const t = i / 16_000;
    const wave = Math.sin(2764 * t) + Math.sin(3483 * t) * Math.sin(3 * t) + 0.5 * Math.sin(5530 * t);
    samples.writeInt16LE(Math.round(10_000 * wave), 2 * i);
  }
  return Buffer.concat([head, samples]);
}

function startOf(path, size) {
  const bytes = Buffer.alloc(size);
  const descriptor = openSync(path, 'r');
  const read = readSync(descriptor, bytes, 0, size, 0);
  closeSync(descriptor);
  return bytes.subarray(0, read);
}

/** A module as far as its first bytes go, then bytes like those of function bodies: local.get, i32.const, i32.add, local.set or call. */
function wasm(size) {
  const random = randomNumbers(13);
  const head = Buffer.from('\0asm\x01\0\0\0', 'latin1');
  const code = () => Buffer.from([0x20, random(12), 0x41, random(128), 0x6a, random(4) ? 0x21 : 0x10, random(30)]);
  return Buffer.concat([head, grown(size - head.length, code)]);
}

const KINDS = {
  'text-latin': (size) => text('latin', size),
  'text-cyrillic': (size) => text('cyrillic', size),
  'text-arabic': (size) => text('arabic', size),
  'text-chinese': (size) => text('chinese', size),
  code: (size) => {
    const files = readdirSync(PACKAGES, { recursive: true }).filter((file) => /^\w+\/src\/.*\.ts$/.test(file));
    files.sort();
    return grown(size, (i) => readFileSync(join(PACKAGES, files[i % files.length])));
  },
  csv: (size) => {
    const random = randomNumbers(3);
    const half = grown(size / 2, () => `${random(1e6)},${random(100) / 10},name${random(500)},${random(2) === 1}\n`);
    return Buffer.concat([half, grown(size - half.length, () => '0,0.0,none,false\n')]);
  },
  log: (size) => {
    const random = randomNumbers(5);
    const does = ['GET /index.html 200', 'GET /about 200', 'POST /login 302', 'GET /missing 404', 'timeout after 30 s'];
    return grown(size, (i) => {
      const time = new Date(1.7e12 + i * 1371).toISOString();
      return `${time} ${['INFO', 'INFO', 'WARN', 'ERROR'][random(4)]} 10.0.${random(4)}.${random(250)} ${does[random(5)]} ${random(900)}ms\n`;
    });
  },
  json: (size) => {
    const random = randomNumbers(9);
    return grown(
      size,
      (i) =>
        `${JSON.stringify({ id: i, tags: ['a', 'b'].slice(random(3)), score: random(1000) / 8, ok: random(2) === 1 }, null, 2)},\n`,
    );
  },
  elf: (size) => startOf(process.execPath, size),
  wasm,
  png,
  wav,
  zeros: (size) => Buffer.alloc(size),
  random: (size) => {
    const random = randomNumbers(17);
    return Buffer.from(Uint8Array.from({ length: size }, () => random(65_536) >> 8));
  },
  'one-line': (size) => Buffer.from(text('latin', size).toString('latin1').replaceAll('\n', ' '), 'latin1'),
};

/** Bounds of held-out bits per byte where they are known without training. Elsewhere they are 0 and 8.6. */
const EXPECTED = { zeros: [0, 1], random: [7.5, 8.6] };

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '3k,30k,300k,3M' },
    kinds: { type: 'string', default: Object.keys(KINDS).join(',') },
    minutes: { type: 'string', default: '0.5' },
    jobs: { type: 'string', default: '1' },
    'max-bytes': { type: 'string', default: '2000' },
    keep: { type: 'boolean', default: false },
  },
});

function bytesOf(word) {
  const [, number, unit] = /^(\d+)([kM]?)$/.exec(word) ?? [];
  if (!number) throw new Error(`--sizes ${word}: expected bytes such as 3000, 30k or 3M`);
  return Number(number) * { '': 1, k: 1000, M: 1_000_000 }[unit];
}

const minutes = Number(values.minutes);
const jobs = Number(values.jobs);
if (!(minutes > 0) || !(jobs >= 1)) throw new Error('--minutes and --jobs are numbers above 0');
const unknown = values.kinds.split(',').find((kind) => !KINDS[kind]);
if (unknown) throw new Error(`--kinds ${unknown}: there are ${Object.keys(KINDS).join(', ')}`);

/** Seconds of starting Node, reading, the last evaluation and saving, beside the budget: on a busy machine they are many. */
const START_UP = 15;

const folder = mkdtempSync(join(tmpdir(), 'blt-real-files-'));

function blt(args) {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [BLT, ...args], { cwd: folder });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr, seconds: (performance.now() - started) / 1000 }));
  });
}

/** The fault in the way a command ended, because it must succeed or refuse in one sentence. */
function complaints(command, { code, stdout, stderr }, mayRefuse = false) {
  const all = stdout + stderr;
  const found = [];
  if (/\n\s+at .+:\d+:\d+/.test(all) || all.includes('this is a bug')) found.push(`${command}: a stack trace`);
  if (/\bNaN\b/.test(all.replace(/"(?:text|prompt)":"(?:[^"\\]|\\.)*"/g, ''))) found.push(`${command}: NaN`);
  if (code !== 0) {
    const said = stderr.split('\n').filter((line) => line.startsWith('blt: '));
    const isRefusal = mayRefuse && code === 2 && said.length === 1;
    if (!isRefusal) found.push(`${command}: exit code ${code}: ${stderr.trim().split('\n').at(-1)}`);
  }
  return found;
}

async function tryFile(kind, size) {
  const name = `${kind}-${size}`;
  const file = `${name}.bin`;
  const bytes = KINDS[kind](bytesOf(size));
  writeFileSync(join(folder, file), bytes);
  const row = { kind, size, bytes: bytes.length, train: '', steps: '', eval: '', patch: '', generate: '', wrong: [] };
  const run = join('runs', name);
  const trained = await blt(['train', '--data', file, '--run', name, '--minutes', String(minutes), '--json']);
  for (const wrong of complaints('train', trained, true)) row.wrong.push(wrong);
  row.train = `${trained.seconds.toFixed(1)} s`;
  if (trained.seconds > 60 * minutes * 1.15 + START_UP) {
    row.wrong.push(`train: ${trained.seconds.toFixed(0)} s of ${60 * minutes} s`);
  }
  if (trained.code !== 0) {
    row.train = `refused: ${trained.stderr.trim().split('\n').at(-1)}`;
    return row;
  }
  row.steps = lastNumber(trained.stdout, 'step') ?? '?';
  const evaluated = await blt(['eval', '--model', run, '--json']);
  for (const wrong of complaints('eval', evaluated, true)) row.wrong.push(wrong);
  if (evaluated.code === 0) {
    const { bits_per_byte: bits, patch_size_mean: patch } = JSON.parse(evaluated.stdout);
    row.eval = bits.toFixed(3);
    const [low, high] = EXPECTED[kind] ?? [0, 8.6];
    // A figure beyond is sane if the run has said why.
    const said = /worse than 8|another kind/.test(trained.stdout);
    if (!(bits >= low && (bits <= high || said))) row.wrong.push(`eval: ${bits} bits per byte, not ${low} to ${high}`);
    // Patches times their mean are the bytes of text. Where every byte is a patch, that of the document's start makes the mean less than 1.
    if (!(patch > 0.9)) row.wrong.push(`eval: a mean patch of ${patch} bytes`);
  } else row.eval = 'refused';
  const patched = await blt(['patch', file, '--model', run, '--max-bytes', values['max-bytes'], '--json']);
  for (const wrong of complaints('patch', patched)) row.wrong.push(wrong);
  if (patched.code === 0) {
    const { patchLengths } = JSON.parse(patched.stdout);
    const sum = patchLengths.reduce((a, b) => a + b, 0);
    const shown = Math.min(bytes.length, Number(values['max-bytes']));
    row.patch = (sum / patchLengths.length).toFixed(2);
    if (sum !== shown) row.wrong.push(`patch: ${sum} of ${shown} bytes`);
  }
  const generated = await blt(['generate', '--model', run, '--max-bytes', '50', '--prompt', 'a', '--json']);
  for (const wrong of complaints('generate', generated)) row.wrong.push(wrong);
  row.generate = `${generated.seconds.toFixed(1)} s`;
  if (!values.keep) {
    rmSync(join(folder, run), { recursive: true, force: true });
    rmSync(join(folder, file));
  }
  return row;
}

/** The last value of a key in lines of JSON. */
function lastNumber(lines, key) {
  for (const line of lines.trim().split('\n').reverse()) {
    try {
      const value = JSON.parse(line)[key];
      if (typeof value === 'number') return value;
    } catch {
      // A line that is no JSON is reported by the checks of the command line's own tests.
    }
  }
  return undefined;
}

let failed = 0;
try {
  console.log('| kind | size | train | steps | bits per byte | mean patch | generate | wrong |');
  console.log('|---|---|---|---|---|---|---|---|');
  const cells = values.sizes.split(',').flatMap((size) => values.kinds.split(',').map((kind) => [kind, size]));
  const next = async () => {
    for (let cell = cells.shift(); cell; cell = cells.shift()) {
      const { kind, size, train, steps, eval: bits, patch, generate, wrong } = await tryFile(cell[0], cell[1]);
      if (wrong.length > 0) failed++;
      const plain = [kind, size, train, steps, bits, patch, generate, wrong.join('; ')];
      console.log(`| ${plain.map((text) => String(text).replaceAll('|', '\\|')).join(' | ')} |`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, next));
} finally {
  if (values.keep) console.log(`\nkept: ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
}
if (failed > 0) {
  console.log(`\n${failed} file${failed === 1 ? '' : 's'} with something wrong`);
  process.exitCode = 1;
}
