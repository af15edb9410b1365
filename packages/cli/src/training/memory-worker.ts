/** @file The thread in which the memory of a run is made beside the training, and mixed with the model's predictions at the end. */
import { parentPort } from 'node:worker_threads';
import { learningMemory, MemoryMixture, type MemoryProgress, memoryToSafetensors } from '@blt-ts/blt';
import { threadData } from '../threads/own-thread.ts';

/** One batch to be mixed, see `MemoryMixture.losses`. */
export interface MixRequest {
  readonly logits: Float32Array<ArrayBuffer>;
  readonly vocabSize: number;
  readonly ids: Int32Array;
}

/** Answers: how far the counting is; at its end the memory's file; and the losses of each batch, in the order of the requests. */
export type MemoryAnswer =
  | { readonly progress: MemoryProgress }
  | { readonly file: Uint8Array<ArrayBuffer> }
  | { readonly losses: Float64Array<ArrayBuffer> };

const port = parentPort!;
const answer = (message: MemoryAnswer, moved: readonly ArrayBuffer[] = []): void => port.postMessage(message, moved);

const learning = learningMemory([threadData() as Uint8Array]);
let next = learning.next();
for (; !next.done; next = learning.next()) answer({ progress: next.value });
const mixture = new MemoryMixture(next.value);
// Before anything else is read: what is saved has read the training text alone.
const file = memoryToSafetensors(next.value);
answer({ file }, [file.buffer]);

port.on('message', ({ logits, vocabSize, ids }: MixRequest) => {
  const losses = mixture.losses(logits, vocabSize, ids) as Float64Array<ArrayBuffer>;
  answer({ losses }, [losses.buffer]);
});
