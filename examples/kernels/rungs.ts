/** @file The rungs of docs/kernel-ladder.md in order, from the definition up to the kernel below the shipped one. */
import { scoreMatrix } from './attention/1-score-matrix.ts';
import { rowByRow } from './attention/2-row-by-row.ts';
import { onlineAttention } from './attention/3-online.ts';
import { threeLoops } from './matmul/1-three-loops.ts';
import { loopOrder } from './matmul/2-loop-order.ts';
import { blocks } from './matmul/3-blocks.ts';
import { packed } from './matmul/4-packed.ts';
import { registerTile } from './matmul/5-register-tile.ts';
import { vectors } from './matmul/6-vectors.ts';
import { twoPasses } from './softmax/1-two-passes.ts';
import { subtractMax } from './softmax/2-subtract-max.ts';
import { online } from './softmax/3-online.ts';
import type { Attention, Matmul, Softmax } from './types.ts';

/** One way to compute a kernel: its file in this folder, and what it adds to the rung before. */
export interface Rung<F> {
  readonly file: string;
  readonly adds: string;
  readonly run: F;
}

export const matmulRungs: readonly Rung<Matmul>[] = [
  { file: 'matmul/1-three-loops.ts', adds: 'the definition', run: threeLoops },
  { file: 'matmul/2-loop-order.ts', adds: 'B is read in the order of memory', run: loopOrder },
  { file: 'matmul/3-blocks.ts', adds: 'a block of B stays in the cache', run: blocks },
  { file: 'matmul/4-packed.ts', adds: 'columns are copied side by side, four sums in registers', run: packed },
  { file: 'matmul/5-register-tile.ts', adds: 'two rows at once: 8 sums in registers', run: registerTile },
  { file: 'matmul/6-vectors.ts', adds: 'WebAssembly: four floats an instruction, 32 sums in registers', run: vectors },
];

export const softmaxRungs: readonly Rung<Softmax>[] = [
  { file: 'softmax/1-two-passes.ts', adds: 'the definition, which overflows', run: twoPasses },
  { file: 'softmax/2-subtract-max.ts', adds: 'safe: the largest value is subtracted', run: subtractMax },
  { file: 'softmax/3-online.ts', adds: 'maximum and sum in one pass', run: online },
];

export const attentionRungs: readonly Rung<Attention>[] = [
  { file: 'attention/1-score-matrix.ts', adds: 'the definition, with all scores', run: scoreMatrix },
  { file: 'attention/2-row-by-row.ts', adds: 'only the keys of the interval', run: rowByRow },
  { file: 'attention/3-online.ts', adds: 'no scores are kept', run: onlineAttention },
];
