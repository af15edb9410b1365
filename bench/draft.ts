/** @file Speculation on a trained model: `pnpm bench draft MODEL_FOLDER [prompt] [bytes]`; CPU time a byte with and without drafts. */
import { generate } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { loadModel } from '../packages/cli/src/run-folder.ts';

const [folder, prompt = 'the whale, the whale, the whale, the whale, the whale, ', bytes = '200'] =
  process.argv.slice(2);
const { checkpoint } = await loadModel(folder, createWasmBackend());
let plain = 0;
for (const draftBytes of [0, 0, 4, 8, 16]) {
  let steps = 0;
  const cpu = process.cpuUsage();
  const made = Uint8Array.from(
    generate(checkpoint, prompt, {
      maxBytes: Number(bytes),
      temperature: 0,
      ignoreEos: true,
      draftBytes,
      onDone: (counts) => {
        steps = counts.globalSteps;
      },
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  const each = (user + system) / 1000 / made.length;
  if (draftBytes === 0) plain = each;
  console.log(
    `drafts of ${draftBytes}: ${each.toFixed(3)} ms of CPU a byte, ${(plain / each).toFixed(2)}x, ${steps} global steps`,
  );
  if (draftBytes === 0) console.log(JSON.stringify(new TextDecoder().decode(made).slice(0, 120)));
}
