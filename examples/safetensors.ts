/**
 * @file Parameters as a safetensors file, which PyTorch and JAX read too, and back with the same bits.
 * `node scripts/example.mjs safetensors` runs it from a checkout.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { leaves, loadSafetensors, randomNormal, saveSafetensors } from '@blt-ts/autograd';
import { Random, zeros } from '@blt-ts/tensor';

const random = new Random(4);
const layer = () => ({ weight: randomNormal(random, [3, 4]), bias: zeros([3]) });
const params = { embedding: randomNormal(random, [8, 4]), layers: [layer(), layer()] };

// The path to a tensor is its name in the file. The library makes bytes and leaves files to you, so that it runs in a browser.
const folder = mkdtempSync(join(tmpdir(), 'blt-example-'));
const file = join(folder, 'model.safetensors');
writeFileSync(file, saveSafetensors(params, { made: 'by an example' }));
const bytes = new Uint8Array(readFileSync(file));
rmSync(folder, { recursive: true });

/** Names in the file. */
export const names = leaves(params).map(([name]) => name);
console.log(`${bytes.length} bytes: ${names.join(', ')}`);

// With `like` the file must have these names and shapes, and a sentence says which one differs. Without it the names make the tree.
const loaded = loadSafetensors(bytes, { like: params });
const values = (tree: typeof params) => leaves(tree).map(([, leaf]) => [...leaf.readSync()]);
/** Whether every value came back. */
export const same = JSON.stringify(values(loaded)) === JSON.stringify(values(params));
console.log(`the same values: ${same}`);
