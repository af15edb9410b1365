/**
 * @file Speculation on a trained model: `pnpm bench draft MODEL_FOLDER [prompt] [bytes] [--weights bf16]`; CPU time a byte with and without
 * drafts, the best of five runs each, in turn.
 */
import { type GenerateCounts, generate, namedTensors, narrowWeights } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { loadModel } from '../packages/cli/src/run-folder.ts';

const given = process.argv.slice(2).filter((x) => !x.startsWith('--') && x !== 'bf16');
const [folder, prompt = 'the whale, the whale, the whale, the whale, the whale, ', bytes = '200'] = given;
const { checkpoint } = await loadModel(folder, createWasmBackend());
if (process.argv.includes('bf16')) narrowWeights(namedTensors(checkpoint));

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
LENGTHS.forEach((length, i) => {
  const { globalSteps, byteSteps } = counts[i];
  const same = texts[i] === texts[0] ? 'the same text' : 'ANOTHER TEXT';
  console.log(
    `drafts of ${length}: ${best[i].toFixed(3)} ms of CPU a byte, ${(best[0] / best[i]).toFixed(2)}x, ${globalSteps} global steps, ` +
      `${byteSteps} bytes read, ${same}`,
  );
});
console.log(JSON.stringify(texts[0].slice(0, 120)));
