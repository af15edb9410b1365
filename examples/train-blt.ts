/**
 * @file A Byte Latent Transformer from code: plan a run, train it, and generate.
 * `node scripts/example.mjs train-blt` runs it from a checkout.
 */
import { encode, generate, planRun, Session } from '@blt-ts/blt';
import { defaultBackend } from '@blt-ts/tensor';

// A document is a list of ids. BOS and EOS stand at its ends.
const text = 'How much wood would a woodchuck chuck if a woodchuck could chuck wood? '.repeat(30);
const train = [encode(text, { eos: true })];

// A plan has every number of a run. Two models are trained: a small one whose entropies cut the text into patches, then the BLT.
const plan = planRun({ size: 'nano', steps: 12, entropySteps: 8 }, train[0].length);
const session = new Session(plan, { train, heldOut: [] }, defaultBackend());

/** The loss of each step, nats per byte. */
export const losses: number[] = [];
for (let event = await session.next(); event.kind !== 'done'; event = await session.next()) {
  if (event.kind === 'step' && event.phase === 'model') losses.push(event.report.lossNats);
}
console.log(`loss ${losses[0].toFixed(2)} -> ${losses.at(-1)?.toFixed(2)} nats per byte`);

const checkpoint = session.checkpoint();
/** The bytes that go on from a prompt. The same seed gives the same ones. */
export const go = (seed: number) => [...generate(checkpoint, 'How much ', { maxBytes: 24, seed })];
console.log(JSON.stringify(new TextDecoder().decode(Uint8Array.from(go(1)))));
