/**
 * @file The byte-level GPT of examples/byte-gpt/ at the size that every framework is measured at: d 256, 4 layers of 4 heads,
 * feed-forward 1024, vocabulary 260, 8 rows of 256 bytes, AdamW, float32.
 */
import { valueAndGrad } from '@blt-ts/autograd';
import { ADAMW_DEFAULTS, AdamW, coalesce, gradientLeaves } from '@blt-ts/blt';
import { type Backend, scope, tensor } from '@blt-ts/tensor';
import { initialValues, loss, newParams, type Params, rowsOf } from '../../examples/byte-gpt/model.ts';

export const BYTE_GPT = { width: 256, layers: 4, heads: 4, hidden: 1024, vocab: 260, rows: 8, length: 256, lr: 1e-3 };

/** Initial values by name, the same for all. */
export const byteGptParameters = () => initialValues(BYTE_GPT);

/** Ids and targets [rows * length]: text-like, so that the loss falls. */
export function byteGptData(): { ids: Int32Array; targets: Int32Array } {
  const { rows, length } = BYTE_GPT;
  const at = (i: number) => 101 + ((i * 7 + Math.floor(i / 13) * 5) % 26);
  const ids = Int32Array.from({ length: rows * length }, (_, i) => at(i));
  return { ids, targets: ids.map((_, i) => at(i + 1)) };
}

/** One training step on the backend; returns the loss, nats. */
export function byteGptStep(backend: Backend): () => number {
  const { length, lr, heads } = BYTE_GPT;
  const params = newParams(BYTE_GPT, backend);
  const optimizer = new AdamW(params, ADAMW_DEFAULTS);
  const data = byteGptData();
  return () =>
    scope(() => {
      const rows = rowsOf(data.ids, length, backend);
      const targets = tensor(data.targets, undefined, { backend });
      const { value, grads } = valueAndGrad((p: Params) => loss(p, rows, targets, heads), { sparse: true })(
        params as never,
      );
      optimizer.step(coalesce(new Map(gradientLeaves(grads))), lr);
      return value.item();
    });
}
