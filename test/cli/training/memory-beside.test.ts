/** @file The memory in a thread of its own: what happens where the thread does not start. The rest is in test/cli/memory.test.ts. */
import { expect, test } from 'vitest';
import { MemoryBeside } from '../../../packages/cli/src/training/memory-beside.ts';

test('a thread that does not start is said in a sentence, to whoever waits for its file or for losses', async () => {
  // Beside the sources there is no built program.
  const memory = new MemoryBeside(new Uint8Array(100));
  const losses = memory.losses(new Float32Array(260), 260, new Int32Array(1));
  losses.catch(() => {});
  const said = /^the memory beside the model failed: .*blt\.js.*; --memory off trains without one$/;
  await expect(memory.file).rejects.toThrow(said);
  await expect(losses).rejects.toThrow(said);
  await expect(memory.losses(new Float32Array(260), 260, new Int32Array(1))).rejects.toThrow(said);
  expect(memory.progress).toEqual({ done: 0, total: 100 });
  await memory.end();
});
