/**
 * @file Speculation on a trained model: `pnpm bench draft MODEL_FOLDER [prompt] [bytes] [--weights f32|bf16] [--json]`; CPU time a byte with and without
 * drafts, the best of five runs each, in turn.
 */
import { type GenerateCounts, generate, namedTensors, storeMatricesAsBf16 } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { loadModel } from '../packages/cli/src/run/find-model.ts';
import { flags, oneOf, report, short, usage } from './support/harness.ts';

const f = flags({ weights: 'f32' }, 3);
const [folder = '', prompt = 'the whale, the whale, the whale, the whale, the whale, ', bytes = '200'] = f.words;
if (folder === '') usage('draft needs the folder of a trained model: pnpm bench draft MODEL_FOLDER');
const { checkpoint } = await loadModel(folder, createWasmBackend());
if (oneOf('weights', f.weights, ['f32', 'bf16']) === 'bf16') storeMatricesAsBf16(namedTensors(checkpoint));

const LENGTHS = [0, 4, 8, 16, 32];
const best = LENGTHS.map(() => Number.POSITIVE_INFINITY);
const texts = LENGTHS.map(() => '');
const counts: GenerateCounts[] = [];
for (let round = 0; round < 5; round++) {
  LENGTHS.forEach((draftBytes, i) => {
    const cpu = process.cpuUsage();
    const onDone = (ran: GenerateCounts) => {
      counts[i] = ran;
    };
    const options = { maxBytes: Number(bytes), temperature: 0, ignoreEos: true, draftBytes, onDone };
    const made = Uint8Array.from(generate(checkpoint, prompt, options));
    const { user, system } = process.cpuUsage(cpu);
    best[i] = Math.min(best[i], (user + system) / 1000 / made.length);
    texts[i] = new TextDecoder().decode(made);
  });
}
const lines = LENGTHS.map((length, i) => ({
  draft_bytes: length,
  ms_per_byte: short(best[i]),
  speedup: short(best[0] / best[i]),
  global_steps: counts[i].globalSteps,
  byte_steps: counts[i].byteSteps,
  same_text: texts[i] === texts[0],
}));
report('draft', { bytes: Number(bytes), weights: f.weights, text: texts[0], lines }, [
  ...lines.map(
    (d) =>
      `drafts of ${d.draft_bytes}: ${d.ms_per_byte} ms of CPU a byte, ${d.speedup} times as fast, ${d.global_steps} global steps, ` +
      `${d.byte_steps} bytes read, ${d.same_text ? 'the same text' : 'ANOTHER TEXT'}`,
  ),
  JSON.stringify(texts[0].slice(0, 120)),
]);
